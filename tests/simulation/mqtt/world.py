"""One schedule of a client over MQTT: broker, gateways and Core fail at random."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import httpx
import msgspec

from client_sdk.contract.cursor import parse_cursor
from tests.simulation.core import ModelCore
from tests.simulation.mqtt.broker import ModelBroker
from tests.simulation.mqtt.gateway import ModelGateway, ModelRelay
from tests.simulation.mqtt.loop import VirtualLoop
from tests.simulation.mqtt.program import CHANNELS, Program, Saved
from tests.simulation.setting import DB_OFFSET, STEP_S, ViolationError

FAULTY_S: Final = 90.0
QUIET_S: Final = 120.0
"""After the faults, the client must be live and have all events within this time."""
STAYS_S: Final = 20.0
BLIND_S: Final = 45.0
"""The longest time for which a client that shows "live" may lack an event."""
PACES: Final = (0.0, 0.02, 0.1, 0.5)
"""The probability that something is committed in a step."""
RATES: Final = (0.005, 0.02, 0.06)
"""The probability of a fault in a step. Some bugs are found only if faults are rare."""
RARE: Final = ("restore", "retention")


@dataclass(frozen=True)
class Parts:
    """The parts of a schedule; a planted bug replaces one of them."""

    cursor_before_effect: bool = False


class MqttWorld:
    """Runs one schedule, and checks the invariants at each step.

    Args:
        seed: of all random choices.
        parts: its parts, perhaps with a planted bug.
    """

    kind = "mqtt"

    def __init__(self, seed: int, parts: Parts | None = None) -> None:
        self.seed = seed
        self.parts = parts or Parts()
        self.chance = Random(seed)
        self.injected: Counter[str] = Counter()
        self.reasons = {"first_sync"}
        """The reasons for which a channel may be reset by now."""
        self.saved = Saved()
        self.core = ModelCore(self.chance)
        self.broker = ModelBroker(self.chance)
        self.loop: VirtualLoop
        self.now = 0.0
        self._violation: str | None = None
        self._faults = True
        self._core_down_until = 0.0
        self._pace = PACES[-1]
        self._rate = self.chance.choice(RATES)
        self._backup = self.core.backup()

    def run(self) -> MqttWorld:
        """Run with faults for a while, then without; then check the end state.

        Raises:
            ViolationError: an invariant was violated.
        """
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualLoop)
            self.loop = loop
            runner.run(self._run())
        return self

    def found(self, what: str) -> None:
        """Report a violated invariant; the schedule ends with the first."""
        self._violation = self._violation or what

    @property
    def db_now(self) -> float:
        """The time by the database's clock."""
        return DB_OFFSET + self.loop.time()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of Fetch Sync."""
        await asyncio.sleep(self.chance.uniform(0.001, 0.3))
        if self.loop.time() < self._core_down_until:
            raise httpx.ConnectError("Core is down")
        asked = request.url.params
        after: dict[str, int | None] = dict.fromkeys(asked.get_list("channel"))
        after |= parse_cursor(asked["lastEventId"]) if "lastEventId" in asked else {}
        answer = self.core.answer(after, asked.get("epoch"), 50, self.db_now)
        # While the answer is on its way, more events can be committed and pushed.
        await asyncio.sleep(self.chance.uniform(0.001, 0.3))
        return httpx.Response(200, content=msgspec.json.encode(answer))

    def difference(self) -> str | None:
        """How the consumer's state differs from Core's; None: it has handled all events."""
        checkpoint = self.saved.checkpoint
        for channel in CHANNELS:
            log = self.core.truth.channels.get(channel)
            if log is None:
                continue
            if checkpoint is None or checkpoint.epoch != self.core.epoch:
                return "its cursor is of another epoch than Core's"
            if self.saved.effects.get(channel, 0) != log.head:
                return f"{channel} is at {self.saved.effects.get(channel)}, Core at {log.head}"
            opened = {order.id: order.version for order in log.orders.values() if order.is_open}
            if self.saved.orders.get(channel, {}) != opened:
                return f"the orders of {channel} are not Core's"
        return None

    # ── the schedule ─────────────────────────────────────────────────────────

    async def _run(self) -> None:
        self._relay = ModelRelay(self.core)
        self._gateway = ModelGateway(self._relay, self.broker, self.chance, self.loop.time)
        self._program = Program(self, self.saved)
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            await self._go_on_until(FAULTY_S)
            self._heal()
            await self._converge(self.loop.time() + QUIET_S)
            await self._go_on_until(self.loop.time() + STAYS_S)
            difference = self.difference()
            if difference is not None:
                self._fail(f"it was complete, and is not any more: {difference}")
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._program.end()

    async def _go_on_until(self, end: float) -> None:
        while self.loop.time() < end:
            await asyncio.sleep(STEP_S)
            self.now = self.loop.time()
            if self._faults:
                self._commit_something()
                if self.chance.random() < self._rate:
                    self._inject_any()
            self._relay.run(self.db_now)
            self._gateway.run()
            self._look()
            if self._violation is not None:
                self._fail(self._violation)

    async def _converge(self, end: float) -> None:
        while self.loop.time() < end:
            await self._go_on_until(self.loop.time() + 1.0)
            if self.difference() is None and self._program.client.mode == "live":
                return
        mode = self._program.client.mode
        self._fail(self.difference() or f"not live again but {mode}")

    def _commit_something(self) -> None:
        if self.chance.random() < 0.02:
            self._pace = self.chance.choice(PACES)
        if self.chance.random() < self._pace:
            for _ in range(self.chance.choice((1, 1, 2, 6))):
                self.core.commit(self.db_now)

    def _look(self) -> None:
        """Check that a client that shows "live" does not lack an event for long."""
        program = self._program
        is_blind = (
            program.client.mode == "live"
            and program.slow_until < self.now - BLIND_S
            and self.difference() is not None
            and self._oldest_missing() < self.db_now - BLIND_S
        )
        if is_blind:
            self.found(f"live, and blind for {BLIND_S:.0f} s: {self.difference()}")

    def _oldest_missing(self) -> float:
        times = [
            self.core.times.get((self.core.truth.epoch, name, self.saved.effects.get(name, 0) + 1))
            for name in CHANNELS
        ]
        return min((at for at in times if at is not None), default=self.db_now)

    def _fail(self, what: str) -> None:
        raise ViolationError(f"{self.kind}, seed {self.seed}, at {self.loop.time():.2f} s: {what}")

    # ── faults ───────────────────────────────────────────────────────────────

    @property
    def _kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "program killed": self._kill_program,
            "connection lost": self._program.connection.lose,
            "connection silent": self._program.connection.go_silent,
            "broker killed": self._kill_broker,
            "broker drops": lambda: self._for_a_while(self._set_loss),
            "broker repeats": lambda: self._for_a_while(self._set_doubles),
            "gateway killed": self._kill_gateway,
            "gateway frozen": self._freeze_gateway,
            "relay stalled": self._stall_relay,
            "core down": self._core_down,
            "slow consumer": self._slow_down,
            "retention": self._trim,
            "backup": self._back_up,
            "restore": self._restore,
        }

    def _inject_any(self) -> None:
        kinds = self._kinds
        weights = [1 if name in RARE else 4 for name in kinds]
        (name,) = self.chance.choices(list(kinds), weights)
        self.injected[name] += 1
        kinds[name]()

    def _heal(self) -> None:
        self._faults = False
        self._core_down_until = 0.0
        self.broker.loses = self.broker.doubles = 0.0
        self.broker.start()
        self._relay.is_stalled = False
        if self._gateway.is_away:
            self._gateway.go_on()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _later(self, shortest: float, longest: float, action: Callable[[], None]) -> None:
        self.loop.call_later(self.chance.uniform(shortest, longest), action)

    def _for_a_while(self, turn: Callable[[bool], None]) -> None:
        turn(True)
        self._later(2, 20, lambda: turn(False))

    def _set_loss(self, on: bool) -> None:
        self.broker.loses = 0.3 if on else 0.0

    def _set_doubles(self, on: bool) -> None:
        self.broker.doubles = 0.5 if on else 0.0

    def _kill_program(self) -> None:
        dead, dead.is_dead = self._program, True
        self._program = Program(self, self.saved)
        self._spawn(dead.end())

    def _kill_broker(self) -> None:
        self.broker.kill()
        self._later(0.5, 20, self.broker.start)

    def _kill_gateway(self) -> None:
        if not self._gateway.is_away:
            self._gateway.die()
            self._later(1, 90, self._gateway_goes_on)

    def _freeze_gateway(self) -> None:
        if not self._gateway.is_away:
            self._gateway.freeze()
            self._later(10, 15, self._gateway_goes_on)
            self._later(5, 30, self._gateway.wake)

    def _gateway_goes_on(self) -> None:
        if self._gateway.is_away:
            self._gateway.go_on()

    def _stall_relay(self) -> None:
        self._relay.is_stalled = True
        self._later(1, 25, self._relay_goes_on)

    def _relay_goes_on(self) -> None:
        self._relay.is_stalled = False

    def _core_down(self) -> None:
        self._core_down_until = self.loop.time() + self.chance.uniform(1, 20)

    def _slow_down(self) -> None:
        self._program.slow_until = self.loop.time() + self.chance.uniform(1, 15)

    def _trim(self) -> None:
        self.reasons.add("retention")
        self.core.trim()

    def _back_up(self) -> None:
        self._backup = self.core.backup()

    def _restore(self) -> None:
        self.reasons |= {"epoch", "ahead"}
        self.core.restore(self._backup)
