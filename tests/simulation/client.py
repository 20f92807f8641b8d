"""The shell around the client's machine in virtual time: its wire, its consumer, its crashes.

Machine, hand-over, order book and parser are the SDK's own. The consumer keeps its effects for
ever, as a database does; what it has saved decides where a crashed client goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from client_sdk.client.checkpoint import Checkpoint
from client_sdk.client.delivery import Handover
from client_sdk.client.http_transport import signal_of
from client_sdk.client.order_book import OrderBook
from client_sdk.contract.sse import SseParser
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Acknowledged,
    CancelSync,
    CheckDigest,
    CloseStream,
    Command,
    Deliver,
    Failure,
    FailureKind,
    Fill,
    Finished,
    Input,
    OpenStream,
    Start,
    StartSync,
    State,
    StreamEnded,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.machine.sequencing import Change, Reset
from client_sdk.settings import Settings
from event_server.errors import StreamRefusedError
from event_server.streams.request_rules import StreamRequest
from tests.simulation.core import STORE, TABLES
from tests.simulation.servers import ModelServer, Wire

if TYPE_CHECKING:
    from tests.simulation.world import World

CHANNELS: Final = (f"store:{STORE}", f"table:{STORE}/{TABLES[0]}")
SETTINGS: Final = Settings(max_pending=8)
PAGES: Final = (2, 10, 500)
LONGEST_REST_S: Final = 5.0
"""Core says to poll every 3 s, and jitter adds a fifth."""
MOST_TICKS: Final = 100
"""So many ticks at one moment are an endless loop."""


@dataclass(frozen=True)
class Parts:
    """What a schedule is made of; planted bugs replace one of them."""

    machine: type[Machine] = Machine
    server: type[ModelServer] = ModelServer
    cursor_before_effect: bool = False
    acknowledge_before_handler: bool = False


class SimClient:
    """One process of a client.

    Args:
        world: where it lives.
        before: the process whose effects and cursor it inherits.
    """

    def __init__(self, world: World, before: SimClient | None) -> None:
        self.world = world
        self.dead = False
        self.effects: dict[str, int] = before.effects if before else {}
        """What the handler has done: the last seq per channel."""
        self.orders: dict[str, dict[str, int]] = before.orders if before else {}
        """The handler's own picture: the version of each open order, per channel."""
        self.saved: Checkpoint | None = before.saved if before else None
        saved = self.saved
        self.book = OrderBook()
        known = dict(saved.positions) if saved else {}
        self.handover = Handover(self.book, known, saved.epoch if saved else "")
        self.machine = world.parts.machine(
            {channel: known.get(channel) for channel in CHANNELS},
            saved.epoch if saved else None,
            SETTINGS,
            world.chance.uniform,
        )
        self._slow_until = 0.0
        self._sync: StartSync | None = None
        self._stream: OpenStream | None = None
        self._wire: Wire | None = None
        self._server: ModelServer | None = None
        self._silent = False
        self._garble: Callable[[list[bytes]], None] | None = None
        self._garbled = False
        self._parser = SseParser()
        self._rested_since = world.now
        """Since when no sync is under way."""
        self._synced = False
        """Whether a sync was answered since the last stream was asked for."""
        self._feed(Start())

    @property
    def proven_until(self) -> float | None:
        """What the stream's watermark has proven, by the database's clock."""
        if not self.shows_live or self._garbled or self.machine.watermark is None:
            return None
        return self.machine.watermark.timestamp()

    @property
    def connected(self) -> bool:
        """Whether a server knows it."""
        return self._wire is not None

    @property
    def shows_live(self) -> bool:
        """Whether its lamp is green."""
        return self.machine.state is State.LIVE

    def step(self) -> None:
        """Read the wire, let the consumer work, keep the machine's time, look at the invariants."""
        self._read_wire()
        self._consume()
        ticks = 0
        while self.machine.deadline <= self.world.now and not self.dead:
            self._feed(Tick())
            ticks += 1
            if ticks > MOST_TICKS:
                self.world.fail(f"it never rests in {self.machine.state.value}")
        self._check_way_out()

    # ── what the world does to it ────────────────────────────────────────────

    def cut(self) -> None:
        """The connection breaks, and both ends are told."""
        stream = self._stream
        self._hang_up()
        if stream is not None:
            self._feed(StreamEnded(stream.generation, Failure("unreachable", "cut")))

    def go_silent(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._silent = True

    def garble(self, how: Callable[[list[bytes]], None]) -> None:
        """The next frames that come are tampered with; no watermark proves anything then."""
        self._garble = how

    def slow_down(self) -> None:
        """The consumer takes a rest."""
        self._slow_until = self.world.now + self.world.chance.uniform(1, 15)

    # ── the machine's commands ───────────────────────────────────────────────

    def _feed(self, signal: Input) -> None:
        if not self.dead:
            for command in self.machine.handle(signal, self.world.now):
                self._execute(command)

    def _execute(self, command: Command) -> None:
        match command:
            case StartSync():
                self._sync = command
                self.world.at(self.world.chance.uniform(0.01, 1.0), lambda: self._ask(command))
            case CancelSync():
                self._sync = None
                self._rested_since = self.world.now
            case OpenStream():
                self._open(command)
            case CloseStream():
                self._hang_up()
            case Finished():
                self.world.fail(f"the machine ended: {command.cause}")
            case Deliver() | Fill() | CheckDigest():
                self.handover.put(command)

    def _ask(self, command: StartSync) -> None:
        """The request reaches Core."""
        world = self.world
        if self._sync is not command or self.dead:
            return
        answer = self._answer(command)
        if world.faults and world.chance.random() < 0.03:
            world.injected["answer lost"] += 1
            return
        delay = world.chance.choice((0.01, 0.1, 0.5, 3.0)) if world.faults else 0.05
        world.at(delay, lambda: self._answered(command, answer))

    def _answer(self, command: StartSync) -> SyncDone | SyncFailed:
        world = self.world
        if world.now < world.core_down_until:
            return SyncFailed(command.generation, Failure("unreachable", "down"))
        if world.faults and world.chance.random() < 0.05:
            failures = [Failure("busy", "503", 2.0), Failure("malformed", "a proxy's page")]
            # A new token is good here: one that Core refuses ends the client, as it should.
            failures += [] if command.new_token else [Failure("unauthorized", "expired")]
            return SyncFailed(command.generation, world.chance.choice(failures))
        limit = world.chance.choice(PAGES)
        after = dict(command.after)
        return SyncDone(
            command.generation, world.core.answer(after, command.epoch, limit, world.db_now)
        )

    def _answered(self, command: StartSync, signal: SyncDone | SyncFailed) -> None:
        if self._sync is command:
            self._sync = None
            self._rested_since = self.world.now
            self._synced = self._synced or isinstance(signal, SyncDone)
        self._feed(signal)

    def _open(self, command: OpenStream) -> None:
        if not self._synced:
            self.world.fail("it connects without a sync since its last stream")
        self._synced = False
        self._hang_up()
        self._stream, self._silent, self._parser = command, False, SseParser()
        self._garbled = False
        delay = self.world.chance.choice((0.01, 0.2, 2.0, 9.0)) if self.world.faults else 0.05
        self.world.at(delay, lambda: self._connect(command))

    def _connect(self, command: OpenStream) -> None:
        """The request reaches the event server."""
        world, server = self.world, self.world.server
        if self._stream is not command or self.dead:
            return
        if server is None:
            self._refused(command, Failure("unreachable", "connection refused"))
            return
        try:
            cursor = ",".join(f"{c}@{s}" for c, s in sorted(command.cursor.items()))
            accepted = server.streams.judge(StreamRequest(command.ticket, cursor, ""), world.now)
        except StreamRefusedError as error:
            kind: FailureKind = "ticket" if error.slug == "bad-ticket" else "busy"
            self._refused(command, Failure(kind, str(error), 1.0))
        else:
            self._wire, self._server = Wire(), server
            server.streams.open(self._wire, accepted, world.now)

    def _refused(self, command: OpenStream, failure: Failure) -> None:
        self._stream = None
        self._feed(StreamEnded(command.generation, failure))

    def _hang_up(self) -> None:
        if self._wire is not None and self._server is not None:
            self._server.streams.close(self._wire)
        self._stream = self._wire = self._server = None

    def _read_wire(self) -> None:
        wire, stream = self._wire, self._stream
        if wire is None or stream is None or self._silent:
            return
        if self._garble is not None and any(b"event: order" in frame for frame in wire.frames):
            self._garble(wire.frames)
            self._garble, self._garbled = None, True
        data = b"".join(wire.frames)
        wire.frames.clear()
        cut = self.world.chance.randint(0, len(data))
        for part in (data[:cut], data[cut:]):
            for event in self._parser.feed(part):
                signal = signal_of(stream.generation, event)
                if signal is not None and self._stream is stream:
                    self._feed(signal)
        if wire.ended and self._stream is stream:
            self._hang_up()
            self._feed(StreamEnded(stream.generation, Failure("unreachable", "end")))

    # ── the consumer ─────────────────────────────────────────────────────────

    def _consume(self) -> None:
        while not self.dead and self.world.now >= self._slow_until:
            delivery = self.handover.take()
            for diverged in self.handover.divergences():
                self._feed(diverged)
            if delivery is None:
                return
            self._handle(delivery)

    def _handle(self, delivery: Deliver) -> None:
        """Hand one change over; the process may die between any two of its steps."""
        parts, checkpoint = self.world.parts, self.handover.checkpoint
        if self._dies():
            return
        if parts.cursor_before_effect or parts.acknowledge_before_handler:
            self.saved = checkpoint
            if parts.acknowledge_before_handler:
                self._feed(Acknowledged(1))
            if self._dies():
                return
            self._effect(delivery.change)
        else:
            # Effect and cursor are one transaction: a crash leaves both or neither.
            self._effect(delivery.change)
            self.saved = checkpoint
        if self._dies():
            return
        self.handover.done(delivery)
        acknowledged = self.handover.saved()
        if not parts.acknowledge_before_handler:
            self._feed(acknowledged)

    def _dies(self) -> bool:
        world = self.world
        if world.faults and world.chance.random() < 0.004:
            world.injected["crash in the handler"] += 1
            world.crash_client()
            return True
        return False

    def _effect(self, change: Change) -> None:
        channel = change.channel
        if isinstance(change, Reset):
            self.effects[channel] = change.head
            self.orders[channel] = {order.id: order.version for order in change.orders}
            return
        done = self.effects.get(channel, 0)
        if change.seq != done + 1:
            self.world.fail(f"the handler got {change.id} on top of {done}")
        self.effects[channel] = change.seq
        orders = self.orders.setdefault(channel, {})
        orders.pop(change.data.id, None)
        if change.data.is_open:
            orders[change.data.id] = change.data.version

    # ── invariants ───────────────────────────────────────────────────────────

    def _check_way_out(self) -> None:
        machine, world = self.machine, self.world
        if self.dead:
            return
        if machine.pending > SETTINGS.max_pending + max(PAGES) * len(CHANNELS):
            world.fail(f"{machine.pending} changes wait for the consumer: not bounded")
        waits_for_consumer = machine.paused and machine.pending > 0
        if machine.deadline == float("inf") and not waits_for_consumer:
            world.fail(f"no way out of {machine.state.value}")
        rests = machine.state is State.POLLING and self._sync is None and not machine.failing
        if rests and not machine.paused and world.now - self._rested_since > LONGEST_REST_S:
            world.fail(f"polling, and asks nobody for {LONGEST_REST_S:.0f} s")

    @property
    def condition(self) -> str:
        """How it stands, for a failure's text."""
        return f"{self.machine.state.value}; its last error: {self.machine.last_failure}"

    def difference(self) -> str | None:
        """What keeps it from having handled everything, with the same orders as Core."""
        core = self.world.core
        if self.machine.epoch != core.epoch:
            return "it is in another epoch than Core"
        for channel in CHANNELS:
            log = core.truth.channels.get(channel)
            if log is None:
                continue
            if self.effects.get(channel, 0) != log.head:
                return f"{channel} is at {self.effects.get(channel)}, Core at {log.head}"
            open_orders = {o.id: o.version for o in log.orders.values() if o.is_open}
            if self.orders.get(channel, {}) != open_orders:
                return f"the orders of {channel} are not Core's"
            digests = (self.book.digest(channel), self.book.content_digest(channel))
            if digests != (log.digest, log.content):
                return f"the book of {channel} is not Core's"
        return None
