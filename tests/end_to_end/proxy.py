"""A TCP proxy on loopback, which can cut its connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from tests.serving import Listener


class Proxy:
    """Forwards connections to a port.

    Args:
        target: the port to which it forwards.
        port: its own port; 0 chooses a free one.
    """

    def __init__(self, target: int, *, port: int = 0) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = Listener(self._serve, port=port)
        self.cuts = 0

    @property
    def port(self) -> int:
        """Its port."""
        return self._listener.port

    async def start(self) -> None:
        """Begin to listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        await self._listener.refuse()
        self.cut()
        await self._listener.stop()

    def cut(self) -> None:
        """Reset all connections."""
        self.cuts += len(self._writers) // 2
        for writer in self._writers:
            reset = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, reset
                )
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        both = [
            asyncio.create_task(_pump(reader, there[1])),
            asyncio.create_task(_pump(there[0], writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (writer, there[1]):
                end.transport.abort()
            await asyncio.gather(*both, return_exceptions=True)
            self._writers -= {writer, there[1]}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
