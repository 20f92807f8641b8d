"""A client of the load test: the SDK's own machine, over connections that need little memory.

The machine decides what the client does: sync, connect, back off, poll, reconnect. The client has
no order book and calls no handlers, as only the events are compared with Core's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.device import HEADER, DeviceMode, DeviceReport, format_device
from client_sdk.contract.order import OrderEvent
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Acknowledged,
    CancelSync,
    Close,
    CloseStream,
    Command,
    Deliver,
    Failure,
    Finished,
    Input,
    OpenStream,
    Start,
    StartSync,
    StreamEnded,
    StreamHello,
    SyncDone,
    SyncFailed,
    Tick,
)
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import Mode, mode_of
from client_sdk.settings import Settings
from deploy.load.clients.answers import StreamAnswer, sync_input
from deploy.load.clients.exchange import OutgoingConnection, Whole, connect
from deploy.load.clients.notes import Notes
from deploy.load.clients.people import Person
from deploy.load.measured.proof import Fact, Track

_FED: Final[dict[Mode, DeviceMode]] = {"live": "live", "polling": "polling", "offline": "offline"}


@dataclass(frozen=True, slots=True)
class World:
    """What all clients of a process share; `source` is the local address that they connect from."""

    core: tuple[str, int]
    source: str | None
    settings: Settings
    uniform: Callable[[float, float], float]
    notes: Notes
    clock: Callable[[], float]


class Follower:
    """One client.

    Args:
        person: the client's identity.
        world: what it shares with the others.
    """

    __slots__ = (
        "_connections", "_loop", "_machine", "_person", "_tasks", "_timer", "_timer_at",
        "_world",
        "mode", "track",
    )  # fmt: skip

    def __init__(self, person: Person, world: World) -> None:
        self.track = Track(person.channel)
        self.mode: Mode = "starting"
        self._person = person
        self._world = world
        self._machine = Machine({person.channel: None}, None, world.settings, world.uniform)
        self._loop = asyncio.get_running_loop()
        self._connections: dict[str, OutgoingConnection] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        world.notes.turned(None, self.mode)

    def start(self) -> None:
        """Sync, connect, and continue until closed."""
        self.feed(Start())

    def cut(self) -> None:
        """Reset both its connections, as a network failure does."""
        for connection in self._connections.values():
            connection.cut()

    def close(self) -> None:
        """Close the client."""
        self.feed(Close())
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        for connection in self._connections.values():
            connection.abort()

    def feed(self, signal: Input) -> None:
        """Pass an input to the machine and execute its commands."""
        delivered = 0
        for command in self._machine.handle(signal, self._world.clock()):
            delivered += self._do(command)
        if delivered:
            self.feed(Acknowledged(delivered))
        self._turn(mode_of(self._machine, self.mode))
        self._set_timer()

    def _turn(self, mode: Mode) -> None:
        if mode != self.mode:
            self._world.notes.turned(self.mode, mode)
            self.mode = mode

    def _do(self, command: Command) -> int:
        match command:
            case Deliver():
                self._apply(command.change)
                return 1
            case StartSync():
                self._run("sync", self._ask_core(command))
            case OpenStream():
                self._run("stream", self._open(command))
            case CancelSync():
                self._drop("sync")
            case CloseStream():
                self._drop("stream")
            case Finished(cause=cause):
                if cause is not None:
                    self._world.notes.gave_up(self._person.channel, str(cause))
            case _:
                pass  # the others concern the order book, which this client does not have
        return 0

    def _apply(self, change: Change) -> None:
        if not isinstance(change, OrderEvent):
            self.track.begin(change.head, change.reason)
            return
        self.track.apply(Fact(change.seq, change.order_id, change.order_version))
        notes = self._world.notes
        notes.count("delivered")
        notes.saw(change.data.reference or "", change.order_version, self._world.clock())

    # ── time ─────────────────────────────────────────────────────────────────

    def _set_timer(self) -> None:
        """Set the timer to the machine's deadline.

        As deadlines are mostly postponed, a timer that is too early stays, and is set again when
        it fires.
        """
        deadline = self._machine.deadline
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != float("inf"):
            self._timer, self._timer_at = self._loop.call_at(deadline, self._tick), deadline

    def _tick(self) -> None:
        self._timer = None
        if self._machine.deadline <= self._world.clock():
            self.feed(Tick())
        else:
            self._set_timer()

    # ── Core ─────────────────────────────────────────────────────────────────

    async def _ask_core(self, command: StartSync) -> None:
        began = self._world.clock()
        connection = await self._connection("sync", self._world.core)
        if isinstance(connection, Failure):
            self._synced(SyncFailed(command.generation, connection), began)
            return

        def done(status: int, headers: dict[str, str], body: bytes, trouble: str | None) -> None:
            self._synced(sync_input(command.generation, status, headers, body, trouble), began)

        connection.ask(self._sync_request(command), Whole(done))

    def _synced(self, signal: SyncDone | SyncFailed, began: float) -> None:
        notes = self._world.notes
        if isinstance(signal, SyncDone):
            notes.count("synced")
            notes.synced(self._world.clock() - began)
        else:
            notes.count("refused" if signal.failure.kind == "busy" else "failed")
        self.feed(signal)

    def _sync_request(self, command: StartSync) -> bytes:
        channel = self._person.channel
        query = {"channel": channel, "orders": "1000"}
        if (seq := command.after[channel]) is not None:
            query["lastEventId"] = f"{channel}@{seq}"
        if command.epoch is not None:
            query["epoch"] = command.epoch
        about = ""
        if self._person.device is not None:
            fed = _FED.get(self.mode, "starting")
            about = f"{HEADER}: {format_device(DeviceReport(self._person.device, fed, 0))}\r\n"
        host, port = self._world.core
        return (
            f"GET /v1/sync?{urlencode(query)} HTTP/1.1\r\nhost: {host}:{port}\r\n"
            f"authorization: Bearer {self._person.token}\r\n{about}\r\n"
        ).encode()

    # ── the event server ─────────────────────────────────────────────────────

    async def _open(self, command: OpenStream) -> None:
        self._world.notes.count("opened")
        url = urlsplit(command.url)
        connection = await self._connection("stream", (url.hostname or "", url.port or 80))
        if isinstance(connection, Failure):
            self.heard(StreamEnded(command.generation, connection))
            return
        query = f"ticket={command.ticket}&lastEventId={quote(format_cursor(command.cursor))}"
        connection.ask(
            f"GET {url.path}?{query} HTTP/1.1\r\nhost: {url.netloc}\r\n"
            "accept: text/event-stream\r\n\r\n".encode(),
            StreamAnswer(self.heard, command.generation),
        )

    def heard(self, signal: Input) -> None:
        """Count an input of the stream, and pass it to the machine."""
        if isinstance(signal, StreamHello):
            self._world.notes.count("hello")
        elif isinstance(signal, StreamEnded):
            busy = signal.failure.kind == "busy"
            self._world.notes.count("refused" if busy else "failed")
        self.feed(signal)

    # ── connections ──────────────────────────────────────────────────────────

    async def _connection(
        self, name: str, address: tuple[str, int]
    ) -> OutgoingConnection | Failure:
        """The open connection if it can be used for this address, otherwise a new one."""
        known = self._connections.get(name)
        if known is not None:
            if known.is_free and known.address == address:
                return known
            known.abort()
        try:
            made = await connect(address, self._world.source)
        except OSError as error:
            return Failure("unreachable", str(error))
        self._connections[name] = made
        return made

    def _run(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[name] = self._loop.create_task(work)

    def _drop(self, name: str) -> None:
        """Close the connection, or cancel its opening; one with a complete answer may stay open."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
        connection = self._connections.get(name)
        if connection is not None and not connection.is_free:
            connection.abort()
