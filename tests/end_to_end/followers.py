"""Clients that record everything they receive, and the check of their records."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import asyncpg
import httpx
import msgspec

from client_sdk import OrderClient, OrderEvent, Reset, Settings
from client_sdk.contract.order import Order

IMPATIENT = Settings(backoff_first=0.05, backoff_most=0.5, connect_timeout=3.0)
"""Settings with which a client reconnects quickly, so that a test sees many reconnects."""


class Follower:
    """One client of one channel; `seqs` and `orders` are what its consumer has received."""

    def __init__(self, core_url: str, token: str, channel: str) -> None:
        self.channel = channel
        self.seqs: list[int] = []
        self.orders: dict[str, Order] = {}
        self.resets: list[str] = []
        self.first_state = asyncio.Event()
        self.client = OrderClient(core_url, token, [channel], settings=IMPATIENT)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow until stopped."""
        self._task = asyncio.create_task(self._follow(), name=f"follow {self.channel}")

    async def synced(self) -> None:
        """Wait until the consumer has received its first state."""
        await self.first_state.wait()

    async def stop(self) -> None:
        """Stop; an exception of the client is raised here."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if not self._task.cancelled() and (error := self._task.exception()) is not None:
                raise error

    async def reached(self, head: int) -> None:
        """Wait until the consumer has the event `head`."""
        while self.head < head:
            self.check_running()
            await asyncio.sleep(0.02)

    @property
    def head(self) -> int:
        """The seq of the newest event that the consumer has; 0: it has none."""
        return self.seqs[-1] if self.seqs else 0

    def check_running(self) -> None:
        """Raise the exception that ended the client, if there is one."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _follow(self) -> None:
        async with self.client:
            async for change in self.client.events():
                if isinstance(change, Reset):
                    self.resets.append(change.reason)
                    self.first_state.set()
                    self.orders = {order.id: order for order in change.orders}
                elif isinstance(change, OrderEvent):
                    self.seqs.append(change.seq)
                    self.orders[change.data.id] = change.data


async def until_not_ready(url: str) -> None:
    """Wait until the server at this address does not answer, or is not ready."""
    async with asyncio.timeout(60), httpx.AsyncClient(timeout=5) as http:
        with contextlib.suppress(httpx.TransportError):
            while (await http.get(f"{url}/readyz")).status_code == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def until_unpublished(database: str) -> None:
    """Wait until the outbox has rows that no relay publishes."""
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(60):
            # More rows than a running relay would ever leave.
            while not await connection.fetchval("SELECT count(*) > 20 FROM outbox"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def heads(database: str) -> dict[str, int]:
    """The head of every channel in the database."""
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch("SELECT channel, head FROM channel_heads")
        return {row["channel"]: row["head"] for row in rows}
    finally:
        await connection.close()


async def orders_of(database: str, channel: str) -> dict[str, Order]:
    """All orders of a channel in the database, as that channel shows them."""
    kind, _, name = channel.partition(":")
    store, _, table = name.partition("/")
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "SELECT owner_view, table_view FROM orders WHERE store_id = $1"
            " AND ($2 = '' OR table_id = $2)",
            store,
            table,
        )
    finally:
        await connection.close()
    views = [row["owner_view"] if kind == "store" else row["table_view"] for row in rows]
    orders = [msgspec.json.decode(view, type=Order) for view in views]
    return {order.id: order for order in orders}


async def prove(database: str, followers: Sequence[Follower], within_s: float) -> int:
    """Check that all followers have all events, once and in order, and the database's orders.

    Args:
        database: the URL of the database.
        followers: the clients.
        within_s: how long to wait while no client receives anything new.

    Returns:
        The number of checked events.
    """
    newest = await heads(database)
    total = 0
    while behind := [f for f in followers if f.head < newest.get(f.channel, 0)]:
        async with asyncio.timeout(within_s):
            before = [follower.head for follower in behind]
            while before == [follower.head for follower in behind]:
                for follower in behind:
                    follower.check_running()
                await asyncio.sleep(0.02)
    for follower in followers:
        head = newest[follower.channel]
        assert follower.seqs == list(range(1, head + 1)), follower.channel
        expected = await orders_of(database, follower.channel)
        assert follower.orders == expected, follower.channel
        still_open = {key: order for key, order in expected.items() if order.is_open}
        assert {order.id: order for order in follower.client.orders} == still_open
        assert follower.client.status.last_error is None or follower.resets == ["first_sync"]
        total += head
    return total
