"""Serves health, readiness and metrics of a process that has no HTTP of its own.

`/healthz` says whether the process works, `/readyz` whether it can serve now; both are
open. `/metrics` needs a token of role ops.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from client_sdk.contract.problem import Problem, problem
from server_common.http.problem_answers import respond
from server_common.logs import get_logger
from server_common.supervision import Supervisor
from server_common.tls.certificate import ServerCertificate, context_factory

_log = get_logger()

TASK: Final = "http"
"""The server's name among the background tasks of its process."""

_CLOSE_S: Final = 2
_PAUSE_S: Final = 0.1
_TICK_S: Final = 1.0
_NO_STORE: Final = {"cache-control": "no-store"}


def ops_app(
    registry: CollectorRegistry,
    refusal: Callable[[Request], Problem | None],
    healthy: Callable[[], bool],
    trouble: Callable[[], str | None],
) -> Starlette:
    """The application.

    Args:
        registry: the numbers to show.
        refusal: why a request may not see them; None: it carries a token of role ops.
        healthy: whether the process works; if not, it should be restarted.
        trouble: why it cannot work now; None if it can.
    """

    async def healthz(_request: Request) -> Response:
        return _said("ok", None if healthy() else "the main loop has stalled")

    async def readyz(_request: Request) -> Response:
        return _said("ready", trouble())

    async def metrics(request: Request) -> Response:
        refused = refusal(request)
        if refused is not None:
            return respond(refused)
        return Response(
            generate_latest(registry), headers=_NO_STORE, media_type=CONTENT_TYPE_LATEST
        )

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


def _said(well: str, reason: str | None) -> Response:
    if reason is not None:
        return respond(problem("unavailable", reason))
    return PlainTextResponse(well + "\n", headers=_NO_STORE)


class OpsServer:
    """Serves an application beside the process's main work.

    Args:
        app: what to serve.
        listener: a bound socket (`server_common/sockets.py`).
        certificate: of the port; None: no TLS. The caller renews it.
        tasks: starts the server again when it ends; nobody else uses it.
    """

    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        certificate: ServerCertificate | None,
        tasks: Supervisor,
    ) -> None:
        self._listener = listener
        self._tasks = tasks
        self._config = uvicorn.Config(
            app,
            ssl_context_factory=context_factory(certificate),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_S,
        )
        self._server: _Quiet | None = None
        self._left = asyncio.Event()

    def start(self) -> None:
        """Start serving; the server is restarted if it fails."""
        # Not essential: a readiness request is answered only while this serves anyway.
        self._tasks.start(TASK, self._serve, essential=False)

    async def stop(self) -> None:
        """Stop serving; the listener is closed."""
        if self._server is not None:
            self._server.leave()
            await self._left.wait()
        await self._tasks.stop()
        self._listener.close()

    async def _serve(self) -> None:
        # uvicorn closes the socket that it gets, and a server of it serves once.
        own = self._listener.dup()
        self._server = server = _Quiet(self._config)
        try:
            await server.serve(sockets=[own])
        finally:
            self._server = None
            await server.close_what_is_left()
            own.close()
            self._left.set()
        if server.should_exit:
            await asyncio.Event().wait()


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process and survives a failure of its loop.

    uvicorn's own loop looks ten times a second whether it is to stop, and makes the time of the
    header Date once a second. This one is told to stop.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Serve the connections until told to stop."""
        while not self.should_exit:
            try:
                await self.on_tick(0)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):
                        await self._told.wait()
            except Exception as error:
                _log.error("ops_server_failed", exc_info=error)
                await asyncio.sleep(_PAUSE_S)

    async def close_what_is_left(self) -> None:
        """Close what a server that has failed leaves open: nothing, if it was told to stop."""
        if not self.should_exit and self.started:
            await self.shutdown()

    def leave(self) -> None:
        """End `main_loop`."""
        self.should_exit = True
        self._told.set()
