"""A WebSocket client that builds frames from bytes, so that it can break any rule."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.event_server.conftest import Running

HANDSHAKE = (
    "GET /v1/socket?ticket={ticket} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
    "connection: Upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: yabam.v1\r\n\r\n"
)
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer to that key (RFC 6455, section 1.3)."""
CLOSED = b"\x88\x02\x03\xe8"
"""A close frame with code 1000."""

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A frame as a client sends it, or an invalid one.

    Args:
        length: the length in the head; None: that of the payload.
    """
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class RawSocket:
    """The client's end of a connection that was upgraded to a WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server, its opcode and payload."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x80, "the server splits no message"
        assert not second & 0x80, "the server masks nothing"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def until(self, opcode: int) -> bytes:
        """The payload of the next frame of this kind."""
        while True:
            kind, payload = await self.frame()
            if kind == opcode:
                return payload

    async def close_code(self) -> int | None:
        """The code of the server's close frame; None: the connection ends without one."""
        code: int | None = None
        try:
            payload = await self.until(CLOSE)
            code = struct.unpack("!H", payload[:2])[0] if payload else None
            self.send(frame(CLOSE, payload))
            await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        return code


@asynccontextmanager
async def raw_socket(server: Running, ticket: str, more: bytes = b"") -> AsyncIterator[RawSocket]:
    """An open WebSocket that has received its hello. `more` is sent together with the request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(HANDSHAKE.format(ticket=ticket).encode() + more)
        raw = RawSocket(reader, writer)
        raw.head = await reader.readuntil(b"\r\n\r\n")
        yield raw
    finally:
        writer.transport.abort()
