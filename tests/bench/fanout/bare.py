"""A bare `asyncio.Protocol` on uvloop: it accepts, answers with a stream's head, sends to all.

    python -m tests.bench.fanout.bare PORT [answers]

It parses no request, checks no ticket and has no timer, so no server on asyncio can make a connect
or a delivery cheaper. Each line of its standard input goes to all as one event. With `answers`,
each request gets a complete short answer instead of a stream.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

from event_server.replay.frames import as_chunk
from server_common.sockets import allow_open_files

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_followers: set[asyncio.Transport] = set()


class _Connection(asyncio.Protocol):
    __slots__ = ("_transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        _followers.add(self._transport)
        self._transport.write(_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        _followers.discard(self._transport)


class _Answers(_Connection):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)


async def _serve(port: int, kind: type[_Connection]) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    server = await loop.create_server(kind, "127.0.0.1", port, backlog=4096)
    print("listening", flush=True)
    async with server:
        seq = 0
        while data := await lines.readline():
            seq += 1
            event = b"id: store:0@%d\nevent: order.placed\ndata: %b\n\n" % (seq, data.rstrip())
            frame = as_chunk(event)
            for transport in _followers:
                transport.write(frame)
            print("sent", flush=True)


if __name__ == "__main__":
    allow_open_files()
    uvloop.run(_serve(int(sys.argv[1]), _Answers if "answers" in sys.argv[2:] else _Connection))
