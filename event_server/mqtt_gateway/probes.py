"""Health, readiness and metrics of the gateway, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from client_sdk.contract.problem import MEDIA_TYPE, TITLES, encode_problem, problem
from event_server.errors import StreamRefusedError
from event_server.http.access import OpsTokens


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

    async def healthz(_request: Request) -> Response:
        return _plain("ok") if healthy() else _problem("unavailable", "the main loop stands still")

    async def readyz(_request: Request) -> Response:
        reason = trouble()
        return _plain("ready") if reason is None else _problem("unavailable", reason)

    async def metrics(request: Request) -> Response:
        try:
            tokens.check(request.headers.get("authorization", ""))
        except StreamRefusedError as error:
            return _problem(error.slug, str(error))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


def _plain(text: str) -> Response:
    return PlainTextResponse(text + "\n", headers={"cache-control": "no-store"})


def _problem(slug: str, detail: str) -> Response:
    status, _ = TITLES[slug]
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Response(
        encode_problem(problem(slug, detail)), status, headers=headers, media_type=MEDIA_TYPE
    )
