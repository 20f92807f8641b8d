"""One schedule of orders: a client, a model of everything else, and faults by seed."""

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
"""Without faults the client must be live and complete within this."""
STAYS_S: Final = 25.0
"""It must still be complete so much later, on its next stream."""
BLIND_S: Final = 45.0
"""A client that is LIVE may not miss an event for longer: watermarks, time-outs and slack."""
PACES: Final = (0.0, 0.02, 0.1, 0.5)
"""How likely something is committed in a step: bursts and silence alternate."""
RARE: Final = ("restore", "kafka wiped", "retention")


class World(Setting[ModelCore]):
    """Runs one schedule to its end, and checks the invariants at every step.

    Args:
        seed: decides everything.
        parts: what it is made of, perhaps with a planted bug.
    """

    def __init__(self, seed: int, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        super().__init__(seed, ModelCore, self.parts.server)
        self._by_itself = True
        self._pace = PACES[-1]
        self._backup: Truth = self.core.backup()
        self.client = SimClient(self, None)

    def begin(self) -> World:
        """Start the clock; nothing fails but by `inject` and by what the network does anyway."""
        self._by_itself = False
        self._step()
        return self

    def run(self) -> World:
        """Faults for a while, then quiet, then the proof."""
        self._step()
        self.run_until(FAULTY_S)
        return self.settle()

    def settle(self) -> World:
        """No more faults: the client must become complete, and stay so."""
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
        """An order is placed or goes a step further."""
        self.core.commit(self.db_now)

    def crash_client(self) -> None:
        """The client's process dies; another one goes on from what it had saved."""
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
        """A quarter of a second of everything that goes on by itself."""
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
        """Every fault there is, by name."""
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

    # ── invariants that need to see both sides ───────────────────────────────

    def _check_knowledge(self) -> None:
        """What a watermark has proven is there, and whoever shows "live" is not blind for long."""
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
