"""The metrics of the relay, for the person on call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CHANGES: Final = ("claimed", "released", "lost")
FAILURES: Final = ("kafka", "postgres", "settings")
TASKS: Final = ("relay", "hints", "reach", "commands", "revocations", "certificate")


class RelayMetrics:
    """The relay's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outbox_rows = Gauge(
            "yabam_relay_outbox_rows",
            "Events in the whole outbox that wait to be published; 100001 means more than 100000",
            registry=registry,
        )
        self.outbox_age = Gauge(
            "yabam_relay_outbox_age_seconds",
            "How long the oldest event in the outbox has waited; rising means nothing is relayed",
            registry=registry,
        )
        self.published = Counter(
            "yabam_relay_published_events",
            "Events that Kafka has acknowledged, repeated ones included",
            registry=registry,
        )
        self.trimmed = Counter(
            "yabam_relay_trimmed_events",
            "Events that retention trimmed from the log before they were relayed: clients resync",
            registry=registry,
        )
        self.set_aside = Counter(
            "yabam_relay_set_aside_events",
            "Events that Kafka will never take: kept in outbox_set_aside, their clients resync",
            registry=registry,
        )
        self.epochs = Counter(
            "yabam_relay_epochs_begun",
            "Epochs that this relay began because the database had gone back",
            registry=registry,
        )
        self.promotions = Counter(
            "yabam_relay_promotions",
            "Standbys that took over with all that had been shown: the epoch went on",
            registry=registry,
        )
        self.restarts = Counter(
            "yabam_relay_task_restarts",
            "Background tasks that ended and were started again",
            ["task"],
            registry=registry,
        )
        self.batch = Histogram(
            "yabam_relay_batch_events",
            "Events per publication",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            registry=registry,
        )
        self.publish = Histogram(
            "yabam_relay_publish_seconds",
            "From the read of the outbox to Kafka's acknowledgement",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
            registry=registry,
        )
        self.wait = Histogram(
            "yabam_relay_wait_seconds",
            "How old the oldest event of a read was; what the relay adds before it sends",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
            registry=registry,
        )
        self.leases_held = Gauge(
            "yabam_relay_leases_held", "Shards that this relay owns now", registry=registry
        )
        self.lease_changes = Counter(
            "yabam_relay_lease_changes",
            "Shards claimed, released to a peer, or lost because a lease ran out",
            ["change"],
            registry=registry,
        )
        self.failures = Counter(
            "yabam_relay_failures",
            "Times that the relay began to wait for Postgres, Kafka, or better settings",
            ["on"],
            registry=registry,
        )
        self.rebuilds = Counter(
            "yabam_relay_producer_rebuilds",
            "Producers thrown away after an error that they cannot recover from",
            registry=registry,
        )
        self.watermark_age = Gauge(
            "yabam_relay_watermark_age_seconds",
            "Since the oldest last watermark of the shards owned; over 5 s streams degrade",
            registry=registry,
        )

        self.shards = Gauge(
            "yabam_relay_shards_count",
            "Shards that there are; the relays together must own so many",
            registry=registry,
        )
        # Every series is there from the start, at 0: what appears with its first fault raises no
        # alert.
        for change in CHANGES:
            self.lease_changes.labels(change)
        for task in TASKS:
            self.restarts.labels(task)
        for on in FAILURES:
            self.failures.labels(on)

    def watch_watermark(self, age_s: Callable[[], float]) -> None:
        """Ask `age_s` for the watermark's age whenever the numbers are read."""
        self.watermark_age.set_function(age_s)
