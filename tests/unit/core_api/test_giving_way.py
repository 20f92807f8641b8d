"""Connections over real sockets, on the event loop that Core runs on: which gives way, and how."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import uvloop
from structlog.testing import capture_logs

from core_api.http.connection import HttpConnection
from tests.unit.core_api.test_quick_syncs import PLAIN, World

_WAIT_S = 20.0
"""Less than the half minute in which TLS waits for the other side to take its leave."""

Play: TypeAlias = Callable[["Server"], Awaitable[None]]


class Server:
    """A listener for connections of a world, and its clients, who read only where they are told."""

    def __init__(self, is_quick: bool, most_open: int = 1) -> None:
        self.world = World(is_quick, most_open=most_open)
        self.made: list[HttpConnection] = []
        self.lost: dict[HttpConnection, asyncio.Event] = {}
        self.port = 0

    def protocol(self) -> HttpConnection:
        """A connection that says when it is gone."""
        gone = asyncio.Event()

        class Told(HttpConnection):
            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                gone.set()

        connection = self.world.protocol(Told)
        self.made.append(connection)
        self.lost[connection] = gone
        return connection

    async def client(self, tls: ssl.SSLContext | None = None) -> socket.socket:
        """One that is connected; it blocks, and nothing reads for it."""

        def connect() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", self.port), _WAIT_S)
            return plain if tls is None else tls.wrap_socket(plain, server_hostname="127.0.0.1")

        return await asyncio.to_thread(connect)


async def answer_of(client: socket.socket, asked: bytes = PLAIN) -> bytes:
    """Ask, and read the beginning of the answer."""
    client.sendall(asked)
    return await asyncio.to_thread(client.recv, 65_536)


@contextlib.asynccontextmanager
async def served(server: Server, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server.protocol, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        listener.close()
        for connection in server.made:
            if connection.transport is not None:
                connection.transport.abort()


def play(scene: Play, server: Callable[[], Server], tls: ssl.SSLContext | None = None) -> None:
    """Play the scene."""

    async def whole() -> None:
        made = server()
        async with served(made, tls), asyncio.timeout(2 * _WAIT_S):
            await scene(made)

    with capture_logs(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_request_that_only_the_kernel_has_yet_is_answered(is_quick: bool) -> None:
    async def scene(server: Server) -> None:
        with await server.client() as client:
            assert (await answer_of(client)).startswith(b"HTTP/1.1 200")
            client.sendall(PLAIN)
            (connection,) = server.made
            # Nothing was awaited since: the loop has not looked.
            assert not connection.give_way()
            assert (await asyncio.to_thread(client.recv, 65_536)).startswith(b"HTTP/1.1 200")
            assert connection.give_way()
            assert await asyncio.to_thread(client.recv, 1) == b""

    play(scene, lambda: Server(is_quick))


def test_an_answer_that_is_still_being_sent_is_not_cut() -> None:
    async def scene(server: Server) -> None:
        with await server.client() as client:
            assert (await answer_of(client)).startswith(b"HTTP/1.1 200")
            (connection,) = server.made
            # As of an answer that the client is slow to read, without a whole one of that length.
            filling = bytes(60_000)
            sent = 0
            while not connection.transport.get_write_buffer_size():
                connection.transport.write(filling)
                sent += len(filling)
                await asyncio.sleep(0)
            assert not connection.flow.write_paused
            assert not connection.give_way()

            def rest() -> int:
                read = 0
                while read < sent:
                    read += len(client.recv(1 << 20))
                return read

            assert await asyncio.to_thread(rest) == sent
            while connection.transport.get_write_buffer_size():  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert connection.give_way()

    play(scene, lambda: Server(True))


def test_a_client_that_reads_nothing_is_cut_a_moment_after_the_time_out_at_rest() -> None:
    async def scene(server: Server) -> None:
        with await server.client() as client:
            assert (await answer_of(client)).startswith(b"HTTP/1.1 200")
            (connection,) = server.made
            while not connection.transport.get_write_buffer_size():
                connection.transport.write(bytes(60_000))
                await asyncio.sleep(0)
            connection._answered_at -= 76
            connection.timeout_keep_alive_handler()
            async with asyncio.timeout(_WAIT_S):
                await server.lost[connection].wait()

    play(scene, lambda: Server(True))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def test_the_file_of_a_client_that_takes_no_leave_of_tls_is_soon_free(
    certificate: tuple[Path, Path],
) -> None:
    chain, key = certificate
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(chain, key)
    theirs = ssl.create_default_context(cafile=str(chain))

    async def scene(server: Server) -> None:
        with await server.client(theirs) as client, contextlib.ExitStack() as stack:
            assert (await answer_of(client)).startswith(b"HTTP/1.1 200")
            first = server.made[0]
            stack.enter_context(await server.client(theirs))
            async with asyncio.timeout(_WAIT_S):
                await server.lost[first].wait()
            assert server.world.open.given_way == 1

    play(scene, lambda: Server(True), ours)
