"""Raw connections, for bytes that no well-behaved library sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_AT_ONCE = 500


class Wire(asyncio.Protocol):
    """One connection: the bytes received, and when it ended."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if len(self.received) < 64 * 1024:
            self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def write(self, data: bytes) -> None:
        """Send this if the connection is still open."""
        if not self.transport.is_closing():
            self.transport.write(data)

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers so far."""
        parts = self.received.split(b"HTTP/1.1 ")[1:]
        return [int(part[:3]) for part in parts if part[:3].isdigit()]


@dataclass(frozen=True)
class Port:
    """Where a server listens."""

    number: int

    async def open(self) -> Wire:
        """One connection."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(Wire, "127.0.0.1", self.number)
        return wire

    async def open_many(self, count: int) -> list[Wire]:
        """Many connections."""
        wires: list[Wire] = []
        while len(wires) < count:
            part = min(_AT_ONCE, count - len(wires))
            wires += await asyncio.gather(*(self.open() for _ in range(part)))
        return wires

    async def ask(self, data: bytes, timeout_s: float = 10.0) -> Wire:
        """Send this on its own connection; wait until the server ends it, or for the timeout."""
        wire = await self.open()
        wire.write(data)
        await asyncio.wait([wire.ended], timeout=timeout_s)
        wire.transport.abort()
        return wire

    @asynccontextmanager
    async def many(self, count: int) -> AsyncIterator[list[Wire]]:
        """Open many connections, which end with the block."""
        wires = await self.open_many(count)
        try:
            yield wires
        finally:
            for wire in wires:
                wire.transport.abort()


async def ended(wires: list[Wire], within_s: float) -> int:
    """How many of them the server ends within this time."""
    done, _ = await asyncio.wait([wire.ended for wire in wires], timeout=within_s)
    return len(done)
