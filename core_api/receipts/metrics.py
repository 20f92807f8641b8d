"""Metrics of receipts, and of orders that reach nobody."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from server_common.ops.metric_factory import MetricFactory

KINDS: Final = ("unreceived", "unaccepted")
"""Why an order is reported: no device of its store has it, or nobody has accepted it, in time."""
DROPPED: Final = ("refused", "unreadable")
"""Why a receipt is left out: the database refuses it, or it cannot be read."""


class ReceiptMetrics:
    """What ingest leaves out of the receipts, in its registry.

    Args:
        registry: where they are kept. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.dropped = MetricFactory(registry).counter(
            "yabam_ingest_dropped_receipts",
            "Receipts left out: refused by the database, or unreadable",
            reason=DROPPED,
        )


class AlarmMetrics:
    """The alarm's numbers, in the registry of the relay that looks.

    Args:
        registry: where they are kept. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.unreached = metrics.gauge(
            "yabam_relay_unreached_orders",
            "Orders that no device of their store has received, or nobody has accepted, in time",
            kind=KINDS,
        )
        self.alerts = metrics.counter(
            "yabam_relay_unreached_alerts",
            "Orders that reach nobody, sent to the alerts topic",
            kind=KINDS,
        )
        self.held = metrics.gauge(
            "yabam_relay_receipts_lag_state",
            "1 while receipts wait in Kafka, so that no order is reported as unreceived",
        )
