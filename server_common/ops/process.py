"""The frame of a process that has no HTTP of its own: tasks, health, metrics."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request

from client_sdk.contract.problem import Problem
from server_common.ops.server import OpsServer, ops_app
from server_common.supervision import Supervisor, counted_by
from server_common.tls.metrics import watched


@asynccontextmanager
async def observed(
    listener: socket.socket,
    registry: CollectorRegistry,
    restarts: Counter,
    refusal: Callable[[Request], Problem | None],
    healthy: Callable[[], bool],
    trouble: Callable[[], str | None],
    tls: tuple[str, str] | None,
    kafka: str = "",
) -> AsyncIterator[Supervisor]:
    """Serve health and metrics, and run background tasks, for the time of a block.

    Args:
        listener: a bound socket, where they are served.
        registry: the numbers to show.
        restarts: counts the tasks that ended and were started again, by name.
        refusal: why a request may not see the numbers; None: it has a token of role ops.
        healthy: whether the process works; if not, it should be restarted.
        trouble: why its work cannot be done now; None if it can.
        tls: files of the certificate chain and of its key for the listener; None: no TLS.
        kafka: the file of the chain that the process shows to Kafka; empty: it shows none.

    Yields:
        A function that starts tasks. All have ended when the block ends.
    """
    tasks = counted_by(restarts)
    certificate = watched(tls, registry, kafka)
    app = ops_app(registry, refusal, healthy, lambda: tasks.trouble or trouble())
    server = OpsServer(app, listener, certificate, counted_by(restarts))
    server.start()
    if certificate is not None:
        tasks.start("certificate", certificate.keep, essential=False)
    try:
        yield tasks
    finally:
        await tasks.stop()
        await server.stop()
