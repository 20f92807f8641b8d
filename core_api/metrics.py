"""Core's metrics, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_sdk.contract.device import DeviceMode
from client_sdk.contract.problem import TITLES
from client_sdk.contract.sync import ResetReason
from core_api.overload import Bound
from server_common.ops.metric_factory import MetricFactory

UNREADABLE: Final = ("event", "value", "channel")
"""What a sync leaves out where Postgres cannot read a row (`core_api/sync/damaged_rows.py`)."""
REPLICA_OUTCOMES: Final = ("replica", "stale", "failed")
"""The outcome of a sync for which a standby is asked (`core_api/sync/replica.py`)."""
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class CoreMetrics:
    """The metrics of one Core process, in a registry of its own.

    Args:
        waiting: how many syncs wait right now.
        bounds: the limits of concurrent requests, by their kind.
    """

    def __init__(self, waiting: Callable[[], int], bounds: Mapping[str, Bound]) -> None:
        self.registry = CollectorRegistry()
        metrics = MetricFactory(self.registry)
        self.requests = metrics.histogram(
            "yabam_core_request_seconds",
            "How long requests took, by route and status",
            _BUCKETS,
            route=(),
            status=(),
        )
        self.resets = metrics.counter(
            "yabam_core_resets_total",
            "Snapshots given because a client could not go on from its cursor, by reason",
            reason=get_args(ResetReason),
        )
        self.replica_syncs = metrics.counter(
            "yabam_core_replica_syncs_total",
            "Syncs for which the standby was asked, by outcome",
            outcome=REPLICA_OUTCOMES,
        )
        self.problems = metrics.counter(
            "yabam_core_problems_total",
            "Requests refused or failed, by the problem that was answered",
            problem=TITLES,
        )
        self.divergences = metrics.counter(
            "yabam_core_divergences_total",
            "Channels that a client reset as its orders differed from the database: each is a bug",
        )
        self.devices = metrics.gauge(
            "yabam_core_devices_count",
            "Owners' devices seen in the last two minutes, over all Cores, by how they got events",
            mode=get_args(DeviceMode),
        )
        self.dropped_reports = metrics.counter(
            "yabam_core_dropped_reports_total",
            "Reports of devices that the database refused and Core discarded: a bug",
        )
        self.unreadable = metrics.counter(
            "yabam_core_unreadable_rows_total",
            "Syncs that met a row that Postgres cannot read, by what was left out",
            what=UNREADABLE,
        )
        self.not_trimmed = metrics.counter(
            "yabam_core_rows_not_trimmed_total",
            "Old rows that a round of trimming could not delete",
        )
        self.task_restarts = metrics.counter(
            "yabam_core_task_restarts_total",
            "Background tasks that failed and were started again: a bug",
            task=(),
        )
        self.locked_writes = metrics.gauge(
            "yabam_core_locked_writes_count",
            "Writes that wait because another transaction locks their store or order",
        )
        self._connections = metrics.gauge(
            "yabam_core_connections_count", "Connections that are open"
        )
        self.provider_reads = metrics.counter(
            "yabam_core_provider_reads_total",
            "Readings of the OpenID provider's keys, by outcome",
            outcome=("read", "failed"),
        )
        self.revocations_age = metrics.gauge(
            "yabam_core_revocations_age_seconds",
            "The age of this Core's last read of revoked tokens",
        )
        gauge = metrics.gauge("yabam_core_waiting_requests", "Syncs that wait for something new")
        gauge.set_function(waiting)
        under_way = metrics.gauge(
            "yabam_core_under_way_requests",
            "Requests in progress that use the database, by kind",
            kind=(),
        )
        for kind, bound in bounds.items():
            under_way.labels(kind).set_function(partial(getattr, bound, "under_way"))
        self.registry.register(_Refusals(bounds))

    def reset_given(self, reason: str) -> None:
        """Count a client that was given a snapshot, for this reason."""
        self.resets.labels(reason).inc()

    def replica_asked(self, outcome: str) -> None:
        """Count a sync for which the standby was asked."""
        self.replica_syncs.labels(outcome).inc()

    def devices_seen(self, modes: Mapping[str, int]) -> None:
        """Set the number of devices seen lately in each mode; modes that are left out have none."""
        for mode in get_args(DeviceMode):
            self.devices.labels(mode).set(modes.get(mode, 0))

    def unreadable_met(self, _channel: str, what: str) -> None:
        """Count a sync that met a row that Postgres cannot read."""
        self.unreadable.labels(what).inc()

    def provider_read(self, succeeded: bool) -> None:
        """Count a reading of the provider's keys."""
        self.provider_reads.labels("read" if succeeded else "failed").inc()

    def watch_connections(self, are_open: Callable[[], int], given_way: Callable[[], int]) -> None:
        """Take the number of open connections, and of closed idle ones, from these functions."""
        self._connections.set_function(are_open)
        self.registry.register(_GivenWay(given_way))

    def task_runs(self, name: str) -> None:
        """Register a background task of this name."""
        self.task_restarts.labels(name)

    def task_restarted(self, name: str) -> None:
        """Count that the background task failed and will be started again."""
        self.task_restarts.labels(name).inc()

    def refused(self, slug: str) -> None:
        """Count a request that was answered with this problem."""
        self.problems.labels(slug).inc()

    def exposition(self) -> bytes:
        """All metrics in the text format."""
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
            except Exception:
                self.refused("internal")
                raise
            finally:
                route = getattr(scope.get("route"), "path", "none")
                self.requests.labels(route, status).observe(time.perf_counter() - start)

        return timed


class _GivenWay(Collector):
    """The count of idle connections that were closed."""

    def __init__(self, given_way: Callable[[], int]) -> None:
        self._given_way = given_way

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The count of this moment."""
        yield CounterMetricFamily(
            "yabam_core_cut_connections",
            "Idle connections closed because file descriptors ran short",
            value=self._given_way(),
        )


class _Refusals(Collector):
    """The counts that the limits keep themselves."""

    def __init__(self, bounds: Mapping[str, Bound]) -> None:
        self._bounds = bounds

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counts of this moment."""
        family = CounterMetricFamily(
            "yabam_core_refused_requests",
            "Requests refused with 503 because a bound was reached, by kind",
            labels=["kind"],
        )
        for kind, bound in self._bounds.items():
            family.add_metric([kind], bound.refused)
        yield family
