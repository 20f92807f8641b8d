"""Runs a client's machine in virtual time: its syncs, its streams, its network.

Machine and parser are the SDK's own. Subclasses handle the machine's commands for the consumer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from client_sdk.contract.sse import SseParser
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CancelSync,
    CloseStream,
    Command,
    Failure,
    FailureKind,
    Finished,
    Input,
    OpenStream,
    StartSync,
    State,
    StreamEnded,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.machine.tracks import NEVER
from client_sdk.settings import Settings
from client_sdk.transport.stream_events import input_of
from event_server.errors import StreamRefusedError
from event_server.streams.request_rules import StreamRequest
from tests.simulation.servers import ModelServer, Wire

if TYPE_CHECKING:
    from tests.simulation.setting import AnySetting

SETTINGS: Final = Settings(max_pending=8)
PAGES: Final = (2, 10, 500)
LONGEST_REST_S: Final = 5.0
"""Core tells clients to poll every 3 s, and jitter adds up to a fifth."""
MAX_TICKS: Final = 100
"""More ticks at the same time are taken for an endless loop."""


class Shell(ABC):
    """One process of a client.

    Args:
        setting: its schedule.
        machine: the machine; the subclass feeds it `Start`.
    """

    def __init__(self, setting: AnySetting, machine: Machine) -> None:
        self.setting = setting
        self.dead = False
        self.machine = machine
        self._sync: StartSync | None = None
        self._stream: OpenStream | None = None
        self._wire: Wire | None = None
        self._server: ModelServer | None = None
        self._silent = False
        self._garble: Callable[[list[bytes]], None] | None = None
        self._garbled = False
        self._parser = SseParser()
        self._rested_since = setting.now
        """The time since when no sync is under way."""
        self._synced = False
        """Whether a sync was answered since the last stream was requested."""

    @property
    def offline(self) -> bool:
        """Whether it has no network now."""
        return False

    @property
    def connected(self) -> bool:
        """Whether it is connected to an event server."""
        return self._wire is not None

    @property
    def shows_live(self) -> bool:
        """Whether it shows that it is live."""
        return self.machine.state is State.LIVE

    def keep_time(self) -> None:
        """Fire the machine's timers, and check that it cannot wait forever."""
        ticks = 0
        while self.machine.deadline <= self.setting.now and not self.dead:
            self.feed(Tick())
            ticks += 1
            if ticks > MAX_TICKS:
                self.setting.fail(f"it never rests in {self.machine.state.value}")
        self._check_way_out()

    # ── faults ───────────────────────────────────────────────────────────────

    def cut(self) -> None:
        """Break the connection; client and server notice it."""
        stream = self._stream
        self._hang_up()
        if stream is not None:
            self.feed(StreamEnded(stream.generation, Failure("unreachable", "cut")))

    def go_silent(self) -> None:
        """Deliver nothing more; neither client nor server notices it."""
        self._silent = True

    def garble(self, how: Callable[[list[bytes]], None]) -> None:
        """Change the next frames by `how`; from then on the watermark proves nothing."""
        self._garble = how

    # ── the machine's commands ───────────────────────────────────────────────

    def feed(self, signal: Input) -> None:
        if not self.dead:
            for command in self.machine.handle(signal, self.setting.now):
                self._execute(command)

    def _execute(self, command: Command) -> None:
        match command:
            case StartSync():
                self._sync = command
                self.setting.at(self.setting.chance.uniform(0.01, 1.0), lambda: self._ask(command))
            case CancelSync():
                self._sync = None
                self._rested_since = self.setting.now
            case OpenStream():
                self._open(command)
            case CloseStream():
                self._hang_up()
            case Finished():
                self.setting.fail(f"the machine ended: {command.cause}")
            case _:
                self.put(command)

    @abstractmethod
    def put(self, command: Command) -> None:
        """Take a command of the machine for the consumer."""

    def _ask(self, command: StartSync) -> None:
        """Called when the request reaches Core."""
        setting = self.setting
        if self._sync is not command or self.dead:
            return
        answer = self._answer(command)
        if setting.faults and setting.chance.random() < 0.03:
            setting.injected["answer lost"] += 1
            return
        delay = setting.chance.choice((0.01, 0.1, 0.5, 3.0)) if setting.faults else 0.05
        setting.at(delay, lambda: self._answered(command, answer))

    def _answer(self, command: StartSync) -> SyncDone | SyncFailed:
        setting = self.setting
        if setting.now < setting.core_down_until or self.offline:
            return SyncFailed(command.generation, Failure("unreachable", "down"))
        if setting.faults and setting.chance.random() < 0.05:
            failures = [Failure("busy", "503", 2.0), Failure("malformed", "a proxy's page")]
            # A new token is never refused here: if it were, the client would rightly end.
            failures += [] if command.new_token else [Failure("unauthorized", "expired")]
            return SyncFailed(command.generation, setting.chance.choice(failures))
        limit = setting.chance.choice(PAGES)
        after = dict(command.after)
        return SyncDone(
            command.generation, setting.core.answer(after, command.epoch, limit, setting.db_now)
        )

    def _answered(self, command: StartSync, signal: SyncDone | SyncFailed) -> None:
        if self._sync is command:
            self._sync = None
            self._rested_since = self.setting.now
            self._synced = self._synced or isinstance(signal, SyncDone)
        self.feed(signal)

    def _open(self, command: OpenStream) -> None:
        if not self._synced:
            self.setting.fail("it connects without a sync since its last stream")
        self._synced = False
        self._hang_up()
        self._stream, self._silent, self._parser = command, False, SseParser()
        self._garbled = False
        delay = self.setting.chance.choice((0.01, 0.2, 2.0, 9.0)) if self.setting.faults else 0.05
        self.setting.at(delay, lambda: self._connect(command))

    def _connect(self, command: OpenStream) -> None:
        """Called when the request reaches the event server."""
        setting, server = self.setting, self.setting.server
        if self._stream is not command or self.dead:
            return
        blocked = command.via == "websocket" and setting.faults and setting.blocks_sockets
        if server is None or self.offline or blocked:
            self._refused(command, Failure("unreachable", "connection refused"))
            return
        try:
            cursor = ",".join(f"{c}@{s}" for c, s in sorted(command.cursor.items()))
            accepted = server.streams.judge(StreamRequest(command.ticket, cursor, ""), setting.now)
        except StreamRefusedError as error:
            kind: FailureKind = "ticket" if error.slug == "bad-ticket" else "busy"
            self._refused(command, Failure(kind, str(error), 1.0))
        else:
            self._wire, self._server = Wire(), server
            server.streams.open(self._wire, accepted, setting.now)

    def _refused(self, command: OpenStream, failure: Failure) -> None:
        self._stream = None
        self.feed(StreamEnded(command.generation, failure))

    def _hang_up(self) -> None:
        if self._wire is not None and self._server is not None:
            self._server.streams.close(self._wire)
        self._stream = self._wire = self._server = None

    def read_wire(self) -> None:
        wire, stream = self._wire, self._stream
        if wire is None or stream is None or self._silent:
            return
        if stream.via == "sse" and self.setting.buffers and not wire.ended:
            return
        if self._garble is not None and any(b"event: order" in frame for frame in wire.frames):
            self._garble(wire.frames)
            self._garble, self._garbled = None, True
        data = b"".join(wire.frames)
        wire.frames.clear()
        cut = self.setting.chance.randint(0, len(data))
        for part in (data[:cut], data[cut:]):
            for event in self._parser.feed(part):
                signal = input_of(stream.generation, event)
                if signal is not None and self._stream is stream:
                    self.feed(signal)
        if wire.ended and self._stream is stream:
            self._hang_up()
            self.feed(StreamEnded(stream.generation, Failure("unreachable", "end")))

    # ── invariants ───────────────────────────────────────────────────────────

    def _check_way_out(self) -> None:
        machine, setting = self.machine, self.setting
        if self.dead:
            return
        pending = machine.pending
        if pending > SETTINGS.max_pending:
            most = SETTINGS.max_pending + max(PAGES) * len(machine.positions.all)
            if pending > most:
                setting.fail(f"{pending} changes wait for the consumer: not bounded")
        if machine.deadline == NEVER and not (machine.paused and pending > 0):
            setting.fail(f"no way out of {machine.state.value}")
        rests = machine.state is State.POLLING and self._sync is None and not machine.failing
        if rests and not machine.paused and setting.now - self._rested_since > LONGEST_REST_S:
            setting.fail(f"polling, and asks nobody for {LONGEST_REST_S:.0f} s")

    @property
    def condition(self) -> str:
        """Its state, for the text of a violation."""
        return f"{self.machine.state.value}; its last error: {self.machine.last_failure}"
