"""The metrics of ingest, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from client_sdk.contract.problem import TITLES
from core_api.ingest.inbound_commands import UNREADABLE

OUTCOMES: Final = ("applied", "repeated", "refused")
TASKS: Final = (
    "ingest", "hints", "devices", "device-measurements", "device-silence", "certificate"
)  # fmt: skip


class IngestMetrics:
    """Ingest's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.commands = Counter(
            "yabam_ingest_commands",
            "Commands dealt with: applied, repeated (a redelivery, nothing changed) or refused",
            ["outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "yabam_ingest_dead_letters",
            "Commands in the dead letter topic, by reason",
            ["reason"],
            registry=registry,
        )
        self.retries = Counter(
            "yabam_ingest_retries",
            "Tries that failed because Postgres or Kafka did not answer",
            registry=registry,
        )
        self.restarts = Counter(
            "yabam_ingest_task_restarts",
            "Background tasks that ended and were started again",
            ["task"],
            registry=registry,
        )
        self.behind = Gauge(
            "yabam_ingest_behind_records",
            "Records that are in the topic and not yet applied, over the partitions read here",
            registry=registry,
        )
        self.stalled = Gauge(
            "yabam_ingest_stalled_partitions",
            "Partitions whose commands have waited for more than 30 s; the others go on",
            registry=registry,
        )
        # Every series is there from the start, at 0: what appears with its first fault raises no
        # alert.
        for task in TASKS:
            self.restarts.labels(task)
        for outcome in OUTCOMES:
            self.commands.labels(outcome)
        for slug in (*TITLES, UNREADABLE):
            self.dead_letters.labels(slug)
