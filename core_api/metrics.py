"""What Core counts, in Prometheus's terms."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core_api.load import Bound

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class CoreMetrics:
    """The metrics of one Core process, in a registry of its own.

    Args:
        waiting: how many syncs wait right now.
        bounds: what bounds the requests under way, by their kind.
    """

    def __init__(self, waiting: Callable[[], int], bounds: Mapping[str, Bound]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "yabam_core_request_seconds",
            "How long requests took, by route and status",
            ["route", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.resets = Counter(
            "yabam_core_resets_total",
            "Snapshots given because a client could not go on from its cursor, by reason",
            ["reason"],
            registry=self.registry,
        )
        gauge = Gauge(
            "yabam_core_waiting_requests",
            "Syncs that wait for something new",
            registry=self.registry,
        )
        gauge.set_function(waiting)
        under_way = Gauge(
            "yabam_core_under_way_requests",
            "Requests that the database works for, by kind",
            ["kind"],
            registry=self.registry,
        )
        refused = Gauge(
            "yabam_core_refused_requests",
            "Requests refused with 503 since the start because a bound was reached, by kind",
            ["kind"],
            registry=self.registry,
        )
        for kind, bound in bounds.items():
            under_way.labels(kind).set_function(partial(getattr, bound, "under_way"))
            refused.labels(kind).set_function(partial(getattr, bound, "refused"))

    def reset_given(self, reason: str) -> None:
        """A client was given a snapshot, for this reason."""
        self.resets.labels(reason).inc()

    def exposition(self) -> bytes:
        """All of it as text."""
        return generate_latest(self.registry)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware that times requests by route."""

        async def timed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            start = time.perf_counter()
            status = 500

            async def watch(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, watch)
            finally:
                route = getattr(scope.get("route"), "path", "none")
                self.requests.labels(route, status).observe(time.perf_counter() - start)

        return timed
