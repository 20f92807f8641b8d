"""What every schedule runs in: virtual time, relay, Kafka and event server, and their faults."""

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
"""What the database's clock is ahead of virtual time."""
STEP_S: Final = 0.25


class ViolationError(AssertionError):
    """An invariant does not hold; the text says which, and the seed that shows it again."""


class AnyCore(Outbox, Protocol):
    """A model of Core, whatever it keeps."""

    def answer(
        self, after: dict[str, int | None], epoch: str | None, limit: int, now: float
    ) -> SyncResponse:
        """Fetch Sync."""


C = TypeVar("C", bound=AnyCore)


class Setting(ABC, Generic[C]):
    """Time, chance and servers of one schedule.

    Args:
        seed: decides everything.
        core_of: makes the model of Core.
        server: what event servers are made of.
    """

    kind = "orders"
    """What its schedules are called, so that a failure can be shown again."""

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
        """Whether a proxy holds back what server-sent events bring until their stream ends. It may
        stay so for ever: a WebSocket comes through."""
        self.blocks_sockets = False
        """Whether no WebSocket can be had. That ends with the faults."""
        self._server_down_until = 0.0

    @property
    def db_now(self) -> float:
        """The database's clock."""
        return DB_OFFSET + self.now

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self._order += 1
        heapq.heappush(self._actions, (self.now + delay, self._order, action))

    def fail(self, what: str) -> None:
        """An invariant does not hold."""
        raise ViolationError(f"{self.kind}, seed {self.seed}, at {self.now:.2f} s: {what}")

    def inject(self, name: str) -> None:
        """Let one fault happen, now."""
        self.injected[name] += 1
        self.kinds[name]()

    def pass_time(self, seconds: float) -> None:
        """Let everything go on for a while."""
        self.run_until(self.now + seconds)

    def run_until(self, end: float) -> None:
        """Let everything go on until then."""
        while self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()

    def run_servers(self) -> None:
        """A quarter of a second of relay and event server."""
        self.relay.run(self.db_now)
        if self.server is None and self.now >= self._server_down_until:
            self.server = self._new_server()
        if self.server is not None:
            self.server.run(self.now)

    @property
    @abstractmethod
    def shells(self) -> Iterable[Shell]:
        """The clients that run."""

    @abstractmethod
    def write_something(self) -> None:
        """Let something be committed."""

    # ── faults ───────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """Every fault there is, by name."""
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
        """One of these frames never arrives."""
        del frames[self.chance.randrange(len(frames))]

    def double(self, frames: list[bytes]) -> None:
        """One of these frames comes twice."""
        frames.append(self.chance.choice(frames))

    def inject_any(self, rare: Iterable[str]) -> None:
        """Let a fault happen, a rare one less often."""
        names = list(self.kinds)
        weights = [1 if name in rare else 4 for name in names]
        self.inject(*self.chance.choices(names, weights))

    def _core_down(self) -> None:
        self.core_down_until = self.now + self.chance.uniform(1, 20)

    def _kill_server(self, longest: float) -> None:
        self.server = None
        self._server_down_until = self.now + self.chance.uniform(0.5, longest)
        # A client that is still on its way meets the next server, with the ticket that it has.
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
