"""The fault proxy makes the faults in a connection that it promises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from deploy.processes.ports import free_port
from tests.chaos.wire import FaultProxy
from tests.serving import serving


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)

    async with serving(echo) as backend:
        made = FaultProxy(free_port(), [backend])
        await made.start()
        yield made
        await made.stop()


async def test_it_forwards_both_ways_and_passes_the_end_on(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"order")
    assert await reader.readexactly(5) == b"order"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


async def test_a_torn_connection_gives_half_a_piece_and_a_reset(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"whole")
    await reader.readexactly(5)
    assert proxy.tear() == 1
    writer.write(b"12345678")
    assert await reader.readexactly(4) == b"1234"
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_stalled_connection_stays_open_and_silent_until_it_is_cleared(
    proxy: FaultProxy,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.stall()
    writer.write(b"late")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read()
    proxy.clear()
    assert await reader.readexactly(4) == b"late"
    writer.close()


async def test_a_refusing_proxy_resets_what_is_open_and_takes_nothing_new(
    proxy: FaultProxy,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x")
    await reader.readexactly(1)
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)


async def test_a_trap_sees_what_goes_to_the_server_and_may_swallow_it(proxy: FaultProxy) -> None:
    seen: list[bytes] = []

    async def trap(data: bytes) -> bool:
        seen.append(data)
        return b"DELETE" not in data

    proxy.trap = trap
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"SELECT")
    assert await reader.readexactly(6) == b"SELECT"
    writer.write(b"DELETE")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert seen == [b"SELECT", b"DELETE"]
    writer.close()
