"""The clients under test, and what their handlers have received."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from client_sdk import Change, OrderClient, OrderEvent, Reset, Settings
from tests.chaos.final_sync import to_come
from tests.chaos.proof import OVER, Fact, Ledger, Standing, Verdict, judge, judge_orders

_SAMPLE_EVERY_S: Final = 0.5
_LOOK_EVERY_S: Final = 0.1


class Watcher:
    """One client of one channel; its handler records what it receives.

    Args:
        core_url: Core's address.
        token: its access token.
        channel: the channel that it follows.
        settings: the client's settings.
    """

    def __init__(self, core_url: str, token: str, channel: str, settings: Settings) -> None:
        self.channel = channel
        self.base = 0
        """The recorded events begin after this seq."""
        self.facts: list[Fact] = []
        self.orders: dict[str, Standing] = {}
        self.resets: list[str] = []
        self.slowest_s = 0.0
        """The longest time that an event took from Core to the handler."""
        self.synced = asyncio.Event()
        self._place = core_url, token
        self.client = OrderClient(core_url, token, [channel], settings=settings)
        self._task: asyncio.Task[None] | None = None

    @property
    def at(self) -> int:
        """The newest seq that the handler has received."""
        return self.facts[-1].seq if self.facts else self.base

    def start(self) -> None:
        """Follow until stopped."""
        self._task = asyncio.create_task(self._follow(), name=self.channel)

    async def stop(self) -> None:
        """Stop; an exception of the client is raised here."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def failure(self) -> BaseException | None:
        """The exception that ended the client; None: it runs."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    async def to_come(self) -> set[Fact]:
        """The events that Core would send it now."""
        return await to_come(*self._place, self.channel, self.at)

    def turn_page(self) -> None:
        """Begin a new record, where the last one ends."""
        self.base, self.facts, self.resets, self.slowest_s = self.at, [], [], 0.0

    async def _follow(self) -> None:
        async with self.client:
            await self.client.run(self._handle)

    def _handle(self, change: Change) -> None:
        if isinstance(change, OrderEvent):
            self._take(change)
        else:
            self._restart(change)

    def _take(self, event: OrderEvent) -> None:
        self.facts.append(Fact(event.seq, event.order_id, event.order_version))
        self.orders[event.order_id] = Standing(event.order_version, event.data.status)
        if event.data.status in OVER:
            del self.orders[event.order_id]
        self.slowest_s = max(self.slowest_s, time.time() - event.occurred_at.timestamp())

    def _restart(self, reset: Reset) -> None:
        if reset.reason in ("first_sync", "epoch"):
            # A new log begins. Any other reset does not change the base, so that the events that it
            # skips count as missing.
            self.base, self.facts = reset.head, []
        if reset.reason != "first_sync":
            self.resets.append(reset.reason)
        self.orders = {order.id: Standing(order.version, order.status) for order in reset.orders}
        self.synced.set()


class Crowd:
    """All clients under test."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = list(watchers)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """The seconds in each mode, over all clients, in this scenario."""
        self._sampling: asyncio.Task[None] | None = None

    async def start(self, at_once: int = 40) -> None:
        """Start all clients, `at_once` at a time, and return once each has its first sync."""
        for first in range(0, len(self.watchers), at_once):
            some = self.watchers[first : first + at_once]
            for watcher in some:
                watcher.start()
            await asyncio.gather(*(watcher.synced.wait() for watcher in some))
        self._sampling = asyncio.create_task(self._sample())

    async def stop(self) -> None:
        """Stop all clients."""
        if self._sampling is not None:
            self._sampling.cancel()
        await asyncio.gather(*(w.stop() for w in self.watchers), return_exceptions=True)

    def turn_page(self) -> None:
        """Begin a new record for the next scenario."""
        self.seconds.clear()
        for watcher in self.watchers:
            watcher.turn_page()

    def modes(self) -> Counter[str]:
        """How many clients are in each mode now."""
        return Counter("failed" if w.failure else w.client.status.mode for w in self.watchers)

    @property
    def slowest_s(self) -> float:
        """The longest time that an event took in this scenario."""
        return max(watcher.slowest_s for watcher in self.watchers)

    def behind(self, heads: Mapping[str, int]) -> int:
        """How many clients lack events up to these heads."""
        return sum(w.at < heads.get(w.channel, 0) for w in self.watchers)

    async def level(self, ledger: Ledger, *, live: bool, within_s: float) -> bool:
        """Wait until all clients have all events of the log. Returns whether they have in time.

        These are the events that the log has now; with `live`, those that it has when all clients
        are live.
        """
        deadline = time.monotonic() + within_s
        heads: dict[str, int] | None = None
        while time.monotonic() < deadline:
            if live and self.modes()["live"] < len(self.watchers):
                heads = None
            elif heads is None:
                heads = await ledger.heads()
            elif not self.behind(heads):
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def rest(self, ledger: Ledger, within_s: float) -> None:
        """Wait until all clients have all events, or none has received any for so many seconds."""
        before = -1
        while before != (got := sum(len(watcher.facts) for watcher in self.watchers)):
            before = got
            if await self.level(ledger, live=False, within_s=within_s):
                return

    async def judge(self, ledger: Ledger, *, new_epoch: bool) -> Verdict:
        """Compare what all clients received in this scenario with the database.

        Nothing may be written meanwhile. If a client is behind, a last sync decides which of the
        missing events are late and which are lost.
        """
        verdict = Verdict()
        heads = await ledger.heads()
        expected = await ledger.log({w.channel: w.base for w in self.watchers})
        orders = await ledger.open_orders()
        for watcher in self.watchers:
            name = watcher.channel
            is_behind = watcher.at < heads.get(name, 0)
            late = await watcher.to_come() if is_behind else set[Fact]()
            found = judge(name, expected[name], watcher.facts, late)
            verdict.add(found)
            if not found.late:
                verdict.add(judge_orders(name, orders.get(name, {}), watcher.orders))
                book = {o.id: Standing(o.version, o.status) for o in watcher.client.orders}
                verdict.add(judge_orders(f"{name} (its book)", orders.get(name, {}), book))
            unforeseen = [r for r in watcher.resets if r != "epoch" or not new_epoch]
            if unforeseen:
                verdict.add(Verdict(lost=1, notes=[f"{name}: reset for {unforeseen}"]))
            if watcher.failure is not None:
                verdict.add(Verdict(lost=1, notes=[f"{name}: ended by {watcher.failure!r}"]))
        return verdict

    async def _sample(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(_SAMPLE_EVERY_S)
            now = time.monotonic()
            for mode, count in self.modes().items():
                self.seconds[mode] += count * (now - before)
            before = now
