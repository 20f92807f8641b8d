"""Health, readiness and metrics of the gateway, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request

from client_sdk.contract.problem import Problem, problem
from event_server.errors import StreamRefusedError
from event_server.http.access import OpsTokens
from server_common.ops.server import ops_app


def probes_app(
    registry: CollectorRegistry,
    tokens: OpsTokens,
    healthy: Callable[[], bool],
    trouble: Callable[[], str | None],
) -> Starlette:
    """The application.

    Args:
        registry: the numbers to show.
        tokens: verify who asks for them.
        healthy: whether the process should live on.
        trouble: why it cannot work now; None if it can.
    """

    def refusal(request: Request) -> Problem | None:
        try:
            tokens.check(request.headers.get("authorization", ""))
        except StreamRefusedError as error:
            return problem(error.slug, str(error))
        return None

    return ops_app(registry, refusal, healthy, trouble)
