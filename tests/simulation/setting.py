"""The parts of every schedule: virtual time, relay, Kafka, event server, and their faults."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final, Generic, Protocol, TypeVar

from client_sdk.contract.sync import SyncResponse
from tests.simulation.servers import ModelKafka, ModelRelay, ModelServer, Outbox
from tests.simulation.shell import Shell

DB_OFFSET: Final = 1_700_000_000.0
"""How many seconds the database's clock is ahead of virtual time."""
STEP_S: Final = 0.25


class ViolationError(AssertionError):
    """An invariant was violated; the text says which, and with which seed."""


class AnyCore(Outbox, Protocol):
    """A model of Core, of orders or of documents."""

    def answer(
        self, after: dict[str, int | None], epoch: str | None, limit: int, now: float
    ) -> SyncResponse:
        """The answer of Fetch Sync."""


C = TypeVar("C", bound=AnyCore)


class Setting(ABC, Generic[C]):
    """Time, random numbers and servers of one schedule.

    Args:
        seed: of all random choices.
        core_of: makes the model of Core.
        server: the class of the event servers.
    """

    kind = "orders"
    """The kind of its schedules, which the text of a violation names."""

    def __init__(
        self, seed: int, core_of: Callable[[Random], C], server: type[ModelServer]
    ) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.now = 0.0
        self.faults = True
        self.injected: Counter[str] = Counter()
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.core = core_of(self.chance)
        self.kafka = ModelKafka()
        self.relay = ModelRelay(self.core, self.kafka, self.chance)
        self._server_class = server
        self.server: ModelServer | None = self._new_server()
        self.core_down_until = 0.0
        self.buffers = False
        """Whether a proxy buffers server-sent events until their stream ends. That may last until
        the end of the schedule, as WebSockets still work."""
        self.blocks_sockets = False
        """Whether WebSockets are blocked. That ends with the faults."""
        self._server_down_until = 0.0

    @property
    def db_now(self) -> float:
        """The time by the database's clock."""
        return DB_OFFSET + self.now

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Call `action` after `delay` seconds of virtual time."""
        self._order += 1
        heapq.heappush(self._actions, (self.now + delay, self._order, action))

    def fail(self, what: str) -> None:
        """Raise a ViolationError: an invariant was violated."""
        raise ViolationError(f"{self.kind}, seed {self.seed}, at {self.now:.2f} s: {what}")

    def inject(self, name: str) -> None:
        """Cause the fault with this name now."""
        self.injected[name] += 1
        self.kinds[name]()

    def pass_time(self, seconds: float) -> None:
        """Run everything for so many seconds."""
        self.run_until(self.now + seconds)

    def run_until(self, end: float) -> None:
        """Run everything until this time."""
        while self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()

    def run_servers(self) -> None:
        """Run relay and event server for one step."""
        self.relay.run(self.db_now)
        if self.server is None and self.now >= self._server_down_until:
            self.server = self._new_server()
        if self.server is not None:
            self.server.run(self.now)

    @property
    @abstractmethod
    def shells(self) -> Iterable[Shell]:
        """All running clients."""

    @abstractmethod
    def write_something(self) -> None:
        """Commit an event."""

    # ── faults ───────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """All faults, by name."""
        return {
            "core down": self._core_down,
            "server killed": lambda: self._kill_server(20.0),
            "broker and server lost": self._lose_broker_and_server,
            "server stuck": self._stick_server,
            "relay stalled": self._stall_relay,
            "proxy begins or ends to buffer": self._turn_buffering,
            "sockets blocked or let through": self._turn_sockets,
            "relay repeats": self._relay_repeats,
            "kafka wiped": self.kafka.wipe,
        }

    def lose(self, frames: list[bytes]) -> None:
        """Remove one of these frames."""
        del frames[self.chance.randrange(len(frames))]

    def double(self, frames: list[bytes]) -> None:
        """Add one of these frames again."""
        frames.append(self.chance.choice(frames))

    def inject_any(self, rare: Iterable[str]) -> None:
        """Cause a random fault; those in `rare` are less likely."""
        names = list(self.kinds)
        weights = [1 if name in rare else 4 for name in names]
        self.inject(*self.chance.choices(names, weights))

    def _core_down(self) -> None:
        self.core_down_until = self.now + self.chance.uniform(1, 20)

    def _kill_server(self, longest: float) -> None:
        self.server = None
        self._server_down_until = self.now + self.chance.uniform(0.5, longest)
        # A client that is still connecting reaches the next server with its ticket.
        for shell in self.shells:
            if shell.connected:
                shell.cut()

    def _lose_broker_and_server(self) -> None:
        self.write_something()
        self.relay.run(self.db_now)
        self.kafka.wipe()
        self._kill_server(2.0)

    def _stick_server(self) -> None:
        if self.server is not None:
            self.server.stuck_until = self.now + self.chance.uniform(1, 20)

    def _turn_buffering(self) -> None:
        self.buffers = not self.buffers

    def _turn_sockets(self) -> None:
        self.blocks_sockets = not self.blocks_sockets

    def _stall_relay(self) -> None:
        self.relay.stalled_until = self.db_now + self.chance.uniform(1, 20)

    def _relay_repeats(self) -> None:
        self.relay.forgets = self.chance.choice((0.0, 0.5))

    def _new_server(self) -> ModelServer:
        return self._server_class(self.kafka, self.chance, self.now, self.db_now)


AnySetting = Setting[Any]
