"""One schedule of orders: a client, models of the servers, and random faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tests.simulation.client import CHANNELS, Parts, SimClient
from tests.simulation.core import ModelCore, Truth
from tests.simulation.setting import STEP_S, Setting, ViolationError
from tests.simulation.shell import Shell

__all__ = ["ViolationError", "World"]

FAULTY_S: Final = 90.0
QUIET_S: Final = 150.0
"""After the faults, the client must be live and have all events within this time."""
STAYS_S: Final = 25.0
"""So much later, on its next stream, it must still have all events."""
BLIND_S: Final = 45.0
"""The longest time for which a LIVE client may lack an event: watermark, time-outs, reserve."""
PACES: Final = (0.0, 0.02, 0.1, 0.5)
"""The probability that something is committed in a step; it changes now and then."""
RARE: Final = ("restore", "kafka wiped", "retention")


class World(Setting[ModelCore]):
    """Runs one schedule, and checks the invariants at each step.

    Args:
        seed: of all random choices.
        parts: its parts, perhaps with a planted bug.
    """

    def __init__(self, seed: int, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        super().__init__(seed, ModelCore, self.parts.server)
        self._by_itself = True
        self._pace = PACES[-1]
        self._backup: Truth = self.core.backup()
        self.client = SimClient(self, None)

    def begin(self) -> World:
        """Start without random faults of servers: tests cause faults by `inject`."""
        self._by_itself = False
        self._step()
        return self

    def run(self) -> World:
        """Run with faults for a while, then without; then check the end state."""
        self._step()
        self.run_until(FAULTY_S)
        return self.settle()

    def settle(self) -> World:
        """End all faults: the client must get all events, and then stay complete."""
        self.faults = False
        self.relay.forgets = 0.0
        self._converge(self.now + QUIET_S)
        self.run_until(self.now + STAYS_S)
        difference = self.client.difference()
        if difference is not None:
            self.fail(f"it was complete, and is not any more: {difference}")
        return self

    @property
    def shells(self) -> Iterable[Shell]:
        """The client."""
        return (self.client,)

    def write_something(self) -> None:
        """Commit an event of an order."""
        self.core.commit(self.db_now)

    def crash_client(self) -> None:
        """Kill the client; a new one goes on from what it had saved."""
        self.client.dead = True
        self.client = SimClient(self, self.client)

    def _converge(self, end: float) -> None:
        while self.now < end:
            self.run_until(self.now + 1.0)
            difference = self.client.difference()
            if difference is None and self.client.shows_live:
                return
        self.fail(difference or f"not live again but {self.client.condition}")

    def _step(self) -> None:
        """Run everything for a quarter of a second, and schedule the next step."""
        self.at(STEP_S, self._step)
        chance = self.chance
        if self.faults:
            if chance.random() < 0.02:
                self._pace = chance.choice(PACES)
            if chance.random() < self._pace:
                for _ in range(chance.choice((1, 1, 2, 6))):
                    self.core.commit(self.db_now)
            if self._by_itself and chance.random() < 0.08:
                self.inject_any(RARE)
        self.run_servers()
        self.client.step()
        self._check_knowledge()

    # ── faults ───────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """All faults, by name."""
        return {
            "client crash": self.crash_client,
            "connection cut": self.client.cut,
            "half-open connection": self.client.go_silent,
            "frame lost": lambda: self.client.garble(self.lose),
            "frame doubled": lambda: self.client.garble(self.double),
            "frames swapped": lambda: self.client.garble(self.chance.shuffle),
            **super().kinds,
            "retention": self.core.trim,
            "backup": self._back_up,
            "restore": self._restore,
            "slow consumer": self.client.slow_down,
        }

    def _back_up(self) -> None:
        self._backup = self.core.backup()

    def _restore(self) -> None:
        self.core.restore(self._backup)

    # ── invariants of client and Core ────────────────────────────────────────

    def _check_knowledge(self) -> None:
        """Check that events before the watermark have arrived, and that a live client lacks no
        event for long."""
        client, core = self.client, self.core
        if not client.shows_live or client.machine.epoch != core.epoch:
            return
        for channel in CHANNELS:
            log = core.truth.channels.get(channel)
            missing = (client.machine.positions[channel] or 0) + 1
            if log is None or missing > log.head:
                continue
            committed = core.times[core.truth.epoch, channel, missing]
            proven = client.proven_until
            if proven is not None and committed < proven:
                self.fail(f"the watermark has proven {channel}@{missing}, which never came")
            if self.db_now - committed > BLIND_S:
                self.fail(f"live, and blind for {channel}@{missing} for {BLIND_S:.0f} s")
