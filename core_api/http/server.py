"""An ASGI application on uvicorn: a socket bound early, a quiet start, a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from core_api.http.connection import HttpConnection
from core_api.http.open_connections import OpenConnections, most_for
from core_api.http.quick_answers import AnswerHeads, QuickAnswers
from server_common.http.read_timeout import ReadTimeout
from server_common.sockets import BACKLOG, allow_open_files, at_stop_signals
from server_common.tls.certificate import ServerCertificate, context_factory

log = structlog.get_logger()

_OTHER_FILES = 64


READINESS_LEAD_S: Final = 1.0
"""How long after SIGTERM new connections are still accepted: a load balancer needs this time to see
that this process is no longer ready."""


def connections_for(max_waiting: int) -> int:
    """How many connections may be open, once the limit of open files is raised as far as possible.

    It warns if that is too low: each waiting sync takes one.
    """
    limit = allow_open_files()
    if limit < max_waiting + _OTHER_FILES:
        log.warning(
            "open_files_limit_is_low",
            limit=limit,
            max_waiting=max_waiting,
            what_to_do="raise it (ulimit -n), or lower YABAM_MAX_WAITING",
        )
    return most_for(limit, _OTHER_FILES)


class CoreHttpServer(uvicorn.Server):
    """uvicorn, which tells the application about SIGTERM before it stops taking requests.

    The application says from then on that it is not ready. After `READINESS_LEAD_S` no new
    connection is taken, and open requests are finished. A second signal ends the lead.

    Args:
        app: what to serve.
        drain_s: how long open requests may take after SIGTERM.
        stopping: called once when the signal comes.
        request_timeout_s: how long a client may take over a request.
        certificate: of the port; None: no TLS. The caller renews it.
        quick: answers plain requests ahead of the application; None: nothing does.
        connections: those that are open; None: as many as there come.
    """

    def __init__(
        self,
        app: ASGIApp,
        drain_s: float,
        stopping: Callable[[], None],
        request_timeout_s: float,
        certificate: ServerCertificate | None = None,
        quick: QuickAnswers | None = None,
        connections: OpenConnections | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                # uvicorn only ever calls it.
                http=cast(
                    type[asyncio.Protocol],
                    partial(
                        HttpConnection,
                        ReadTimeout(request_timeout_s),
                        quick,
                        AnswerHeads(),
                        OpenConnections(sys.maxsize) if connections is None else connections,
                    ),
                ),
                ssl_context_factory=context_factory(certificate),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                backlog=BACKLOG,
                timeout_graceful_shutdown=max(1, round(drain_s)),
            )
        )
        self._stopping = stopping
        self._leaving: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT while serving; a clean stop is status 0, not a raised signal."""
        with at_stop_signals(lambda number: self.handle_exit(number, None)):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: tell waiting requests to finish, and stop uvicorn a moment later."""
        leave = super().handle_exit
        if self._leaving is None:
            self._stopping()
            loop = asyncio.get_running_loop()
            self._leaving = loop.call_later(READINESS_LEAD_S, leave, sig, frame)
        else:
            self._leaving.cancel()
            leave(sig, frame)
