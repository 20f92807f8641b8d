"""One schedule: a client, a model of everything else, virtual time, and faults by seed."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from tests.simulation.client import CHANNELS, Parts, SimClient
from tests.simulation.core import ModelCore, Truth
from tests.simulation.servers import ModelKafka, ModelRelay, ModelServer

DB_OFFSET: Final = 1_700_000_000.0
"""What the database's clock is ahead of virtual time."""
FAULTY_S: Final = 90.0
QUIET_S: Final = 150.0
"""Without faults the client must be live and complete within this."""
STAYS_S: Final = 25.0
"""It must still be complete so much later, on its next stream."""
STEP_S: Final = 0.25
BLIND_S: Final = 45.0
"""A client that is LIVE may not miss an event for longer: watermarks, time-outs and slack."""
PACES: Final = (0.0, 0.02, 0.1, 0.5)
"""How likely something is committed in a step: bursts and silence alternate."""
RARE: Final = ("restore", "kafka wiped", "retention")


class ViolationError(AssertionError):
    """An invariant does not hold; the text says which, and the seed that shows it again."""


class World:
    """Runs one schedule to its end, and checks the invariants at every step.

    Args:
        seed: decides everything.
        parts: what it is made of, perhaps with a planted bug.
    """

    def __init__(self, seed: int, parts: Parts | None = None) -> None:
        self.seed = seed
        self.parts = parts or Parts()
        self.chance = Random(seed)
        self.now = 0.0
        self.faults = True
        self._by_itself = True
        self._pace = PACES[-1]
        self.injected: Counter[str] = Counter()
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.core = ModelCore(self.chance)
        self.kafka = ModelKafka()
        self.relay = ModelRelay(self.core, self.kafka, self.chance)
        self.server: ModelServer | None = self._new_server()
        self.core_down_until = 0.0
        self._server_down_until = 0.0
        self._backup: Truth = self.core.backup()
        self.client = SimClient(self, None)

    def begin(self) -> World:
        """Start the clock; nothing fails but by `inject` and by what the network does anyway."""
        self._by_itself = False
        self._step()
        return self

    @property
    def db_now(self) -> float:
        """The database's clock."""
        return DB_OFFSET + self.now

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self._order += 1
        heapq.heappush(self._actions, (self.now + delay, self._order, action))

    def run(self) -> World:
        """Faults for a while, then quiet, then the proof."""
        self._step()
        self._run_until(FAULTY_S)
        return self.settle()

    def settle(self) -> World:
        """No more faults: the client must become complete, and stay so."""
        self.faults = False
        self.relay.forgets = 0.0
        self._converge(self.now + QUIET_S)
        self._run_until(self.now + STAYS_S)
        difference = self.client.difference()
        if difference is not None:
            self.fail(f"it was complete, and is not any more: {difference}")
        return self

    def fail(self, what: str) -> None:
        """An invariant does not hold."""
        raise ViolationError(f"seed {self.seed}, at {self.now:.2f} s: {what}")

    def crash_client(self) -> None:
        """The client's process dies; another one goes on from what it had saved."""
        self.client.dead = True
        self.client = SimClient(self, self.client)

    def _run_until(self, end: float) -> None:
        while self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()

    def _converge(self, end: float) -> None:
        while self.now < end:
            self._run_until(self.now + 1.0)
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
                self._inject_any()
        self.relay.run(self.db_now)
        if self.server is None and self.now >= self._server_down_until:
            self.server = self._new_server()
        if self.server is not None:
            self.server.run(self.now)
        self.client.step()
        self._check_knowledge()

    def _new_server(self) -> ModelServer:
        return self.parts.server(self.kafka, self.chance, self.now, self.db_now)

    # ── faults ───────────────────────────────────────────────────────────────

    def inject(self, name: str) -> None:
        """Let one fault happen, now."""
        self.injected[name] += 1
        self.kinds[name]()

    def pass_time(self, seconds: float) -> None:
        """Let everything go on for a while."""
        self._run_until(self.now + seconds)

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """Every fault there is, by name."""
        return {
            "client crash": self.crash_client,
            "connection cut": self.client.cut,
            "half-open connection": self.client.go_silent,
            "frame lost": lambda: self.client.garble(self._lose),
            "frame doubled": lambda: self.client.garble(self._double),
            "frames swapped": lambda: self.client.garble(self.chance.shuffle),
            "core down": self._core_down,
            "server killed": lambda: self._kill_server(20.0),
            "broker and server lost": self._lose_broker_and_server,
            "server stuck": self._stick_server,
            "relay stalled": self._stall_relay,
            "relay repeats": self._relay_repeats,
            "kafka wiped": self.kafka.wipe,
            "retention": self.core.trim,
            "backup": self._back_up,
            "restore": self._restore,
            "slow consumer": self.client.slow_down,
        }

    def _inject_any(self) -> None:
        names = list(self.kinds)
        weights = [1 if name in RARE else 4 for name in names]
        self.inject(*self.chance.choices(names, weights))

    def _core_down(self) -> None:
        self.core_down_until = self.now + self.chance.uniform(1, 20)

    def _kill_server(self, longest: float) -> None:
        self.server = None
        self._server_down_until = self.now + self.chance.uniform(0.5, longest)
        # A client that is still on its way meets the next server, with the ticket that it has.
        if self.client.connected:
            self.client.cut()

    def _lose_broker_and_server(self) -> None:
        self.core.commit(self.db_now)
        self.relay.run(self.db_now)
        self.kafka.wipe()
        self._kill_server(2.0)

    def _stick_server(self) -> None:
        if self.server is not None:
            self.server.stuck_until = self.now + self.chance.uniform(1, 20)

    def _stall_relay(self) -> None:
        self.relay.stalled_until = self.db_now + self.chance.uniform(1, 20)

    def _relay_repeats(self) -> None:
        self.relay.forgets = self.chance.choice((0.0, 0.5))

    def _back_up(self) -> None:
        self._backup = self.core.backup()

    def _restore(self) -> None:
        self.core.restore(self._backup)

    def _lose(self, frames: list[bytes]) -> None:
        del frames[self.chance.randrange(len(frames))]

    def _double(self, frames: list[bytes]) -> None:
        frames.append(self.chance.choice(frames))

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
