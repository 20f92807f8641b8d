"""The metrics of ingest, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from client_sdk.contract.problem import TITLES
from core_api.ingest.inbound_commands import UNREADABLE
from server_common.ops.metric_factory import MetricFactory

OUTCOMES: Final = ("applied", "repeated", "refused")


class IngestMetrics:
    """Ingest's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.commands = metrics.counter(
            "yabam_ingest_commands",
            "Commands processed: applied, repeated (a redelivery, nothing changed) or refused",
            outcome=OUTCOMES,
        )
        self.dead_letters = metrics.counter(
            "yabam_ingest_dead_letters",
            "Commands in the dead letter topic, by reason",
            reason=(*TITLES, UNREADABLE),
        )
        self.retries = metrics.counter(
            "yabam_ingest_retries", "Tries that failed because Postgres or Kafka did not answer"
        )
        self.restarts = metrics.counter(
            "yabam_ingest_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )
        self.behind = metrics.gauge(
            "yabam_ingest_behind_records",
            "Records that are in the topic and not yet applied, over the partitions read here",
        )
        self.stalled = metrics.gauge(
            "yabam_ingest_stalled_partitions",
            "Partitions whose commands have waited for more than 30 s; the others go on",
        )
