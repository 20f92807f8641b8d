"""An ASGI application on uvicorn: a socket bound early, a quiet start, a drain before the stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from client_sdk.contract.socket import MAX_INBOUND_BYTES
from server_common.logs import get_logger
from server_common.sockets import BACKLOG, at_stop_signals
from server_common.tls.certificate import ServerCertificate, context_factory

log = get_logger()

_KEEP_ALIVE_S = 75
_LAST_WORDS_S = 2


def give_up_on_dead_peers(listener: socket.socket, after_s: float) -> None:
    """Let the kernel close connections whose peer reads nothing for `after_s` seconds."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Accepted sockets inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(after_s * 1000))


class EventHttpServer(uvicorn.Server):
    """uvicorn, which on SIGTERM or SIGINT drains first and then stops with exit code 0.

    Args:
        app: what to serve.
        drain: called at the first signal; begins to end the streams.
        drained: whether all of them have ended.
        drain_s: how long to wait for that at most.
        protocol: makes each connection's protocol; None: uvicorn's own.
        certificate: of the port; None: no TLS. The caller renews it.
    """

    def __init__(
        self,
        app: ASGIApp,
        drain: Callable[[], None],
        drained: Callable[[], bool],
        drain_s: float,
        protocol: Callable[..., asyncio.Protocol] | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                # uvicorn only ever calls it.
                http="httptools" if protocol is None else cast(type[asyncio.Protocol], protocol),
                ssl_context_factory=context_factory(certificate),
                # The edge's own protocol serves sockets itself, and asks for none of these.
                ws="websockets-sansio",
                ws_max_size=MAX_INBOUND_BYTES,
                ws_ping_interval=None,  # heartbeats and the transport detect clients that are gone
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_LAST_WORDS_S,
            )
        )
        self._drain = drain
        self._drained = drained
        self._drain_s = drain_s
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGTERM and SIGINT while serving; a clean stop is status 0, not a raised signal."""
        with at_stop_signals(lambda _number: self.stop()):
            yield

    def stop(self) -> None:
        """Drain and stop; called again, stop at once."""
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain_and_exit())

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop. If that fails, the port is closed with it."""
        try:
            await super().serve(sockets)
        except BaseException:
            # uvicorn leaves the port open then: clients would come to a process that ends.
            if self.started:
                self.force_exit = True
                await self.shutdown(sockets)
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; connections that have not ended by now are cut."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def _drain_and_exit(self) -> None:
        try:
            self._drain()
            for connection in list(self.server_state.connections):
                # Idle ones are closed; the others after their response, so that clients move on.
                # uvicorn would close its WebSockets at once, before they are told bye.
                if isinstance(connection, WebSocketsSansIOProtocol):
                    continue
                try:
                    connection.shutdown()
                except Exception:
                    log.exception("connection_cannot_be_shut_down")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._drain_s):
                    while not self._drained():  # noqa: ASYNC110  (the streams know no event loop)
                        await asyncio.sleep(0.05)
        except Exception:
            log.exception("drain_failed")
        finally:
            self.should_exit = True  # whatever has failed, the process must stop
