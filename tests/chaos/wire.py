"""A TCP proxy in front of servers, which can cut, delay, stall and intercept connections.

In front of several servers it is also the load balancer: each new connection goes to the next
server that is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx

from tests.serving import Listener

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 65536
_QUEUED_CHUNKS: Final = 64
_SLICES_PER_S: Final = 4
_HEALTH_EVERY_S: Final = 0.5
_HEALTH_TIMEOUT_S: Final = 2.0
_TICK_S: Final = 0.05

Trap = Callable[[bytes], Awaitable[bool]]
"""Called with each chunk to the server; False: the chunk is dropped and its connection cut."""


class Link:
    """A client's connection, and the proxy's connection to the server for it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.tearing = False

    def reset(self) -> None:
        """Reset both connections (RST); bytes under way are lost."""
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            writer.transport.abort()


class FaultProxy:
    """Forwards connections, with or without faults.

    Args:
        port: its port.
        backends: the ports of the servers.
        balancing: whether to ask the servers at `/readyz`, and to use only those that are ready.
    """

    def __init__(self, port: int, backends: Sequence[int], *, balancing: bool = False) -> None:
        self.port = port
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self.trap: Trap | None = None
        self._backends = list(backends)
        self._ready = set(backends)
        self._balancing = balancing
        self._turn = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(self._serve, port=port, backlog=1024)

    async def start(self) -> None:
        """Listen, unless it does so already."""
        await self._listener.start()
        if self._balancing and not self._tasks:
            for backend in self._backends:
                self._spawn(self._look_after(backend))

    async def stop(self) -> None:
        """Stop listening, and close all connections."""
        self._flowing.set()
        await self.refuse()
        await self._listener.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refuse(self) -> None:
        """Reset all connections, and refuse new ones until `start`."""
        await self._listener.refuse()
        self.cut()

    def cut(self) -> int:
        """Reset all connections. Returns how many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def tear(self) -> int:
        """Reset each connection in the middle of the next chunk to its client."""
        for link in self._links:
            link.tearing = True
        return len(self._links)

    def stall(self) -> None:
        """Pass nothing on from now on, neither on open nor on new connections, which stay open."""
        self._flowing.clear()

    def clear(self) -> None:
        """End all faults."""
        self.latency_s, self.bytes_per_s, self.trap = 0.0, None, None
        for link in self._links:
            link.tearing = False
        self._flowing.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.latency_s)
        if there := await self._connect():
            await self._carry(reader, writer, there)
        else:
            writer.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        link = Link(writer, there[1])
        self._links.add(link)
        up = asyncio.create_task(self._forward(reader, there[1], link, up=True))
        down = asyncio.create_task(self._forward(there[0], writer, link, up=False))
        try:
            done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_EXCEPTION)
            if any(task.exception() for task in done):
                link.reset()
        finally:
            self._links.discard(link)
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for end in (writer, there[1]):
                end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ready = [port for port in self._backends if port in self._ready]
        self._turn += 1
        for place in range(len(ready)):
            port = ready[(self._turn + place) % len(ready)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(LOOPBACK, port)
        return None

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: Link,
        *,
        up: bool,
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_CHUNKS)
        sending = asyncio.create_task(self._send(queue, writer, link, up=up))
        try:
            while True:
                data = await reader.read(_CHUNK)
                chunk = asyncio.get_running_loop().time() + self.latency_s, data
                if queue.full():
                    putting = asyncio.ensure_future(queue.put(chunk))
                    await asyncio.wait({putting, sending}, return_when=asyncio.FIRST_COMPLETED)
                    if sending.done():
                        putting.cancel()
                elif not sending.done():
                    queue.put_nowait(chunk)
                if sending.done() or not data:
                    break
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(
        self,
        queue: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        link: Link,
        *,
        up: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if (wait_s := due - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            await self._flowing.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if up and self.trap is not None and not await self.trap(data):
                link.reset()
                raise ConnectionResetError("trapped")
            if not up and link.tearing:
                writer.write(data[: len(data) // 2])
                await asyncio.sleep(_TICK_S)  # the first half must be sent before the reset
                link.reset()
                raise ConnectionResetError("torn")
            await self._write(writer, data)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        rate = self.bytes_per_s
        if rate is None:
            writer.write(data)
            await writer.drain()
            return
        size = max(1, int(rate / _SLICES_PER_S))
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if self.bytes_per_s is not None:
                await asyncio.sleep(1 / _SLICES_PER_S)

    async def _look_after(self, backend: int) -> None:
        url = f"http://{LOOPBACK}:{backend}/readyz"
        async with httpx.AsyncClient(timeout=_HEALTH_TIMEOUT_S) as http:
            while True:
                try:
                    ready = (await http.get(url)).status_code == 200
                except httpx.HTTPError:
                    ready = False
                (self._ready.add if ready else self._ready.discard)(backend)
                await asyncio.sleep(_HEALTH_EVERY_S)
