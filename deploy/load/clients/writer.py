"""Places orders through Core's API at a fixed rate, which a slow system does not slow down.

An order is sent when it is due, not when the previous one is answered, and its duration counts from
when it was due. Otherwise a system that stands still would also stop the measurement. Each order
goes through all statuses. A command is sent again, with the same Idempotency-Key, until Core
answers it.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.load.clients.exchange import OutgoingConnection, connect, fetch
from deploy.load.measured.timeline import Tally
from deploy.load.measured.way import Times
from deploy.load.plan import LoadTestError

STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")
BETWEEN_STEPS_S: Final = (1.0, 3.0)
_ITEMS: Final = [
    {"name": "비빔밥 Bibimbap", "quantity": 1, "unit_price": 9_500},
    {"name": "파전 Scallion pancake", "quantity": 2, "unit_price": 11_000, "note": "extra crispy"},
]
_ANSWER_WITHIN_S: Final = 20.0
_GIVE_UP_AFTER_S: Final = 120.0
_BACKOFF_S: Final = (0.1, 2.0)


@dataclass(frozen=True, slots=True)
class Door:
    """The addresses and tokens for placing orders."""

    core: tuple[str, int]
    tokens: dict[str, str]
    """The access token of each store's owner."""
    places: Sequence[tuple[str, str | None]]
    """The stores and tables for which orders are placed."""


class Writer:
    """Places orders and moves them through their statuses.

    Args:
        door: the addresses and tokens.
        orders_per_s: the rate of orders.
        times: gets the times when each step was due, sent and answered.
        tally: gets the count of commands and their durations.
        chance: chooses places and delays.
        run: the prefix of every reference, so that no two runs use the same one.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        door: Door,
        orders_per_s: float,
        times: Times,
        tally: Tally,
        chance: random.Random,
        run: str,
        clock: Callable[[], float],
    ) -> None:
        self.written: dict[str, list[tuple[str, int]]] = defaultdict(list)
        """What Core has acknowledged: orders and versions, by the store's channel."""
        self._door = door
        self._every_s = 1 / orders_per_s
        self._times = times
        self._tally = tally
        self._chance = chance
        self._run = run
        self._clock = clock
        self._free: list[OutgoingConnection] = []
        self._lives: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """The number of orders that are not paid yet."""
        return len(self._lives)

    async def place_for(self, seconds: float) -> None:
        """Place orders for so many seconds, each when it is due."""
        began = self._clock()
        number = 0
        while (due := began + number * self._every_s) < began + seconds:
            await asyncio.sleep(max(0.0, due - self._clock()))
            store, table = self._chance.choice(self._door.places)
            life = asyncio.create_task(self._live(f"{self._run}{number}", store, table, due))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)
            number += 1

    async def finish(self) -> None:
        """Wait until every order is paid.

        Raises:
            LoadTestError: Core refused a command, or did not answer it in time.
        """
        await asyncio.gather(*self._lives)
        for connection in self._free:
            connection.abort()

    def stop(self) -> None:
        """Send no more commands of open orders."""
        for life in self._lives:
            life.cancel()

    async def _live(self, reference: str, store: str, table: str | None, due: float) -> None:
        body: dict[str, object] = {
            "store_id": store, "table_id": table, "currency": "KRW",
            "items": _ITEMS, "reference": reference,
        }  # fmt: skip
        channel = f"store:{store}"
        order = await self._command("/v1/orders", body, store, (reference, 1), due)
        self.written[channel].append((order["id"], 1))
        path = f"/v1/orders/{order['id']}/transitions"
        for version, step in enumerate(STEPS, 2):
            pause = self._chance.uniform(*BETWEEN_STEPS_S)
            due = self._clock() + pause
            await asyncio.sleep(pause)
            await self._command(path, {"to": step}, store, (reference, version), due)
            self.written[channel].append((order["id"], version))

    async def _command(
        self, path: str, body: dict[str, object], store: str, what: tuple[str, int], due: float
    ) -> dict[str, str]:
        """Send a command again and again until Core has stored it. Returns the order."""
        self._times.due[what] = due
        self._times.sent[what] = self._clock()
        request = self._request(path, body, store, f"{what[0]}-{what[1]}")
        backoff, most = _BACKOFF_S
        while self._clock() < due + _GIVE_UP_AFTER_S:
            try:
                status, headers, answer = await self._ask(request)
            except (OSError, TimeoutError):
                self._tally.count("failed")
                wait = backoff
            else:
                if status in (200, 201):
                    self._tally.count("committed")
                    answered = self._times.answered[what] = self._clock()
                    self._tally.took("command", answered - due)
                    order: dict[str, str] = json.loads(answer)
                    return order
                if status not in (429, 500, 502, 503, 504):
                    raise LoadTestError(f"Core refused {path}: {status} {answer.decode()}")
                self._tally.count("refused")
                wait = max(backoff, float(headers.get("retry-after", "0")))
            await asyncio.sleep(wait * self._chance.uniform(0.5, 1.5))
            backoff = min(backoff * 2, most)
        raise LoadTestError(f"Core did not take {path} within {_GIVE_UP_AFTER_S:g} s")

    def _request(self, path: str, body: dict[str, object], store: str, key: str) -> bytes:
        content = json.dumps(body).encode()
        host, port = self._door.core
        return (
            f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"authorization: Bearer {self._door.tokens[store]}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
            f"idempotency-key: {key}\r\n\r\n"
        ).encode() + content

    async def _ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            connection = await self._connection()
            try:
                answer = await fetch(connection, request)
            except BaseException:
                connection.abort()
                raise
        if connection.is_free:
            self._free.append(connection)
        return answer

    async def _connection(self) -> OutgoingConnection:
        while self._free:
            connection = self._free.pop()
            if connection.is_free:
                return connection
        return await connect(self._door.core, None)
