"""The metrics that our processes export, gathered from the registries that they serve."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry, Metric

from core_api.broker_admin.metrics import AdminMetrics
from core_api.devices.metrics import CommandAlarmMetrics, CommandMetrics, DeviceMetrics
from core_api.edits.metrics import EditMetrics
from core_api.ingest.metrics import IngestMetrics
from core_api.metrics import CoreMetrics
from core_api.overload import Bound
from core_api.printing.metrics import PrintMetrics
from core_api.push.metrics import PushMetrics
from core_api.receipts.metrics import AlarmMetrics, ReceiptMetrics
from core_api.relay.metrics import RelayMetrics
from core_api.webhooks.metrics import WebhookMetrics
from event_server.http.access import OpsTokens
from event_server.main import build
from event_server.mqtt_gateway.metrics import GatewayMetrics
from event_server.settings import EventSettings
from server_common.access.tickets import TicketKeys
from server_common.tls.metrics import watched
from tests.secure_kafka import make_certificates

ROOT = Path(__file__).parents[2]
_KEY = "k" * 32
_TASK = "task"
"""Processes name their tasks as they start them; before, there is no series to see the label of."""


@dataclass(frozen=True)
class Exported:
    """One metric: its kind, its labels, the names of its series."""

    name: str
    kind: str
    labels: frozenset[str]
    series: frozenset[str]


def exported() -> dict[str, Exported]:
    """All metrics of all parts, by the name that they are exported by."""
    found: dict[str, Exported] = {}
    for family in [
        *_core(),
        *_relay(),
        *_ingest(),
        *_events(),
        *_gateway(),
        *_admin(),
        *_webhooks(),
        *_certificate(),
    ]:
        one = _exported(family)
        found[one.name] = one
    return found


def series_names(metrics: Iterable[Exported]) -> set[str]:
    """The names that a query may use."""
    return {name for metric in metrics for name in metric.series}


def _exported(family: Metric) -> Exported:
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    name = family.name + "_total" if family.type == "counter" else family.name
    series = {name} if family.type != "histogram" else set()
    if family.type == "histogram":
        series = {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return Exported(name, family.type, frozenset(labels), frozenset(series))


def _core() -> list[Metric]:
    bound = Bound(1, "syncs", lambda low, _high: low)
    metrics = CoreMetrics(lambda: 0, {"sync": bound})
    metrics.requests.labels("/v1/sync", 200).observe(0.01)
    metrics.task_runs("tail")
    metrics.watch_connections(lambda: 0, lambda: 0)
    EditMetrics(metrics.registry)
    PrintMetrics(metrics.registry)
    CommandMetrics(metrics.registry)
    return list(metrics.registry.collect())


def _webhooks() -> list[Metric]:
    registry = CollectorRegistry()
    WebhookMetrics(registry).restarts.labels(_TASK)
    PushMetrics(registry)
    return list(registry.collect())


def _relay() -> list[Metric]:
    registry = CollectorRegistry()
    RelayMetrics(registry).restarts.labels(_TASK)
    AlarmMetrics(registry)
    CommandAlarmMetrics(registry)
    return list(registry.collect())


def _ingest() -> list[Metric]:
    registry = CollectorRegistry()
    IngestMetrics(registry).restarts.labels(_TASK)
    DeviceMetrics(registry)
    ReceiptMetrics(registry)
    return list(registry.collect())


def _events() -> list[Metric]:
    values: dict[str, Any] = {
        "kafka": "127.0.0.1:1",
        "ticket_keys": {"k": _KEY},
        "ticket_kid": "k",
        "token_keys": {"k": _KEY},
        "partitions": 1,
    }
    settings = EventSettings(**values)
    server = build(
        settings,
        TicketKeys({"k": _KEY.encode()}, "k"),
        OpsTokens({"k": _KEY}, lambda: 0.0),
    )
    server.streams.hub.mark(0, 1000.0, 0.0)  # the lag is known from the first watermark on
    return list(server.metrics.collect())


def _gateway() -> list[Metric]:
    registry = CollectorRegistry()
    GatewayMetrics(registry).restarts.labels(_TASK)
    return list(registry.collect())


def _admin() -> list[Metric]:
    registry = CollectorRegistry()
    AdminMetrics(registry).restarts.labels(_TASK)
    return list(registry.collect())


def _certificate() -> list[Metric]:
    with TemporaryDirectory() as folder:
        files = make_certificates(Path(folder), "core")
        registry = CollectorRegistry()
        watched((str(files.client), str(files.client_key)), registry)
        return list(registry.collect())


def metrics_in(query: str) -> set[str]:
    """The names of our series in a query."""
    return set(re.findall(r"\byabam_[a-z0-9_]+", query))


def unknown_labels(query: str, metrics: Iterable[Exported]) -> set[str]:
    """Labels that a query matches by and that its metric does not have."""
    by_series = {name: metric for metric in metrics for name in metric.series}
    unknown = set()
    for name, matchers in re.findall(r"\b(yabam_[a-z0-9_]+)\{([^}]*)\}", query):
        for label in re.findall(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in by_series[name].labels | {"job", "instance", "le"}:
                unknown.add(f"{name}: {label}")
    return unknown
