"""A Core and an event server in one, on real sockets, that fail as a test wants.

It has a log of one channel and answers as the protocol says, unless a test sets another answer. It
closes each connection after the answer, so every request comes on a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from client_sdk.contract.order import OrderEvent
from client_sdk.contract.sync import ResetReason, Snapshot, StreamGrant
from event_server.replay.database_clock import rfc3339
from event_server.replay.frames import Frames, as_text
from tests.serving import serving
from tests.unit.client_sdk.samples import EPOCH, channel_sync, digest_of, event, sync_response

CHANNEL = "store:12"
FRAMES = Frames(as_text)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-store\r\nconnection: close\r\n\r\n"
)
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """One request as received."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def after(self) -> int | None:
        """The seq after which it continues."""
        text = self.query.get("lastEventId", [""])[0]
        return int(text.rpartition("@")[2]) if text else None


@dataclass
class Script:
    """The server's log and answers for one test."""

    url: str = ""
    events: list[OrderEvent] = field(default_factory=list)
    epoch: str = EPOCH
    floor: int = 0
    syncs: list[Asked] = field(default_factory=list)
    streams: list[Asked] = field(default_factory=list)
    poll_after_ms: int = 100
    page: int = 500
    on_sync: list[Callable[[Asked], Awaitable[Answer | None]]] = field(default_factory=list)
    """Each answers one sync instead of the protocol. None: answer by the protocol after all."""
    on_stream: list[Callable[[Wire], Awaitable[None]]] = field(default_factory=list)
    """Each serves one stream instead of the protocol."""
    always_stream: Callable[[Wire], Awaitable[None]] | None = None
    """Serves every stream that `on_stream` does not."""
    wires: set[Wire] = field(default_factory=set)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def commit(self, count: int = 1, *, push: bool = True) -> None:
        """Add new events. Open streams get them if `push` is true."""
        for _ in range(count):
            one = event(len(self.events) + 1)
            self.events.append(one)
            for wire in tuple(self.wires) if push else ():
                wire.order(one)
        await self.tell()

    async def tell(self) -> None:
        """Wake all who wait, to check again."""
        async with self.news:
            self.news.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(condition)

    def answer(self, asked: Asked) -> Answer:
        """The answer that the protocol demands."""
        after, head = asked.after, len(self.events)
        known_epoch = asked.query.get("epoch", [self.epoch])[0]
        reset: ResetReason | None = None
        if after is None:
            reset = "first_sync"
        elif known_epoch != self.epoch:
            reset = "epoch"
        elif after > head:
            reset = "ahead"
        elif after < self.floor:
            reset = "retention"
        if reset is not None:
            orders = [one.data for one in self.events if one.data.is_open]
            channel = channel_sync(reset=reset, snapshot=Snapshot(head, orders), head=head)
        else:
            assert after is not None
            found = self.events[after : after + self.page]
            channel = channel_sync(found, head=head, has_more=after + len(found) < head)
        digest = digest_of([one.data for one in self.events])
        channel = msgspec.structs.replace(channel, digest=digest)
        grant = StreamGrant(f"{self.url}/v1/stream", "ticket", 30.0)
        response = sync_response(
            channel, epoch=self.epoch, stream=grant, poll_after_ms=self.poll_after_ms
        )
        return 200, {"content-type": "application/json"}, msgspec.json.encode(response)


class Wire:
    """The server's end of one stream."""

    def __init__(self, script: Script, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.script = script
        self.asked = asked
        self._writer = writer

    def raw(self, data: bytes) -> None:
        """Write these bytes."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def head(self) -> None:
        """Send the response's head."""
        self.raw(STREAM_HEAD)

    def hello(self, epoch: str | None = None) -> None:
        """Send the first event."""
        said = {"server": "s", "epoch": epoch or self.script.epoch, "watermark": now()}
        self.send("hello", said | {"ends_in_ms": 60_000, "replayed": 0})

    def heartbeat(self) -> None:
        """Send a heartbeat."""
        self.send("heartbeat", {"watermark": now()})

    def bye(self, reason: str = "timeout", ms: int = 0) -> None:
        """Send the event of a planned end."""
        self.send("bye", {"reason": reason, "reconnect_after_ms": ms})

    def order(self, one: OrderEvent) -> None:
        """Send an order event."""
        self.raw(frame(one))

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Send any event."""
        self.raw(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    def cut(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        await self._writer.wait_closed()

    async def follow(self) -> None:
        """Serve as the protocol says: head, hello, replay, then new events."""
        self.head()
        self.hello()
        for one in self.script.events[self.asked.after or 0 :]:
            self.order(one)
        self.script.wires.add(self)
        try:
            while True:
                await asyncio.sleep(0.2)
                self.heartbeat()
                await self._writer.drain()
        finally:
            self.script.wires.discard(self)


def frame(one: OrderEvent) -> bytes:
    """The SSE frame of an event."""
    return FRAMES.event((one.id, one.type, msgspec.json.encode(one)))


def now() -> str:
    """The current time as a watermark."""
    return rfc3339(time.time())


def problem(status: int, slug: str, **headers: str) -> Answer:
    """A refusal with this problem."""
    body = {"type": f"urn:yabam:problem:{slug}", "title": slug, "status": status, "detail": "no"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"content-type": "application/problem+json"} | named, json.dumps(body).encode()


def answering(answer: Answer) -> Callable[[Asked], Awaitable[Answer | None]]:
    """A handler that answers one sync with this."""

    async def give(_asked: Asked) -> Answer | None:
        return answer

    return give


def refusing(answer: Answer) -> Callable[[Wire], Awaitable[None]]:
    """A handler that answers one stream request with this."""

    async def give(wire: Wire) -> None:
        wire.raw(encoded(answer))

    return give


def encoded(answer: Answer) -> bytes:
    """A whole response."""
    status, headers, body = answer
    fields = headers | {"content-length": str(len(body)), "connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def scripted() -> AsyncIterator[Script]:
    """Run the server on its own port."""
    script = Script()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            await _serve(script, await reader.readuntil(b"\r\n\r\n"), writer)
            await writer.drain()

    async with serving(serve) as port:
        script.url = f"http://127.0.0.1:{port}"
        yield script


async def _serve(script: Script, head: bytes, writer: asyncio.StreamWriter) -> None:
    request, *lines = head.decode("latin-1").split("\r\n")
    target = urlsplit(request.split()[1])
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    asked = Asked(target.path, parse_qs(target.query), headers)
    if asked.path == "/v1/sync":
        script.syncs.append(asked)
        given = await script.on_sync.pop(0)(asked) if script.on_sync else None
        writer.write(encoded(given or script.answer(asked)))
        await script.tell()
        return
    script.streams.append(asked)
    await script.tell()
    wire = Wire(script, asked, writer)
    if script.on_stream:
        await script.on_stream.pop(0)(wire)
    elif script.always_stream is not None:
        await script.always_stream(wire)
    else:
        await wire.follow()
