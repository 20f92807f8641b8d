"""The metrics of the relay, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from server_common.ops.metric_factory import MetricFactory

CHANGES: Final = ("claimed", "released", "lost")
FAILURES: Final = ("kafka", "postgres", "settings")


class RelayMetrics:
    """The relay's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.outbox_rows = metrics.gauge(
            "yabam_relay_outbox_rows",
            "Events in the whole outbox that wait to be published; 100001 means more than 100000",
        )
        self.outbox_age = metrics.gauge(
            "yabam_relay_outbox_age_seconds",
            "How long the oldest event in the outbox has waited; rising means nothing is relayed",
        )
        self.published = metrics.counter(
            "yabam_relay_published_events",
            "Events that Kafka has acknowledged, repeated ones included",
        )
        self.trimmed = metrics.counter(
            "yabam_relay_trimmed_events",
            "Events that retention trimmed from the log before they were relayed: clients resync",
        )
        self.set_aside = metrics.counter(
            "yabam_relay_set_aside_events",
            "Events that Kafka will never take: kept in outbox_set_aside, their clients resync",
        )
        self.epochs = metrics.counter(
            "yabam_relay_epochs_begun",
            "Epochs that this relay began because the database had gone back",
        )
        self.promotions = metrics.counter(
            "yabam_relay_promotions",
            "Promoted standbys that lacked no shown event, so that the epoch was kept",
        )
        self.restarts = metrics.counter(
            "yabam_relay_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )
        self.batch = metrics.histogram(
            "yabam_relay_batch_events",
            "Events per publication",
            (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
        )
        self.publish = metrics.histogram(
            "yabam_relay_publish_seconds",
            "From the read of the outbox to Kafka's acknowledgement",
            (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
        )
        self.wait = metrics.histogram(
            "yabam_relay_wait_seconds",
            "Age of the oldest event of a read: the delay that the relay adds before it sends",
            (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
        )
        self.leases_held = metrics.gauge(
            "yabam_relay_leases_held", "Shards that this relay owns now"
        )
        self.lease_changes = metrics.counter(
            "yabam_relay_lease_changes",
            "Shards claimed, released to a peer, or lost because a lease ran out",
            change=CHANGES,
        )
        self.failures = metrics.counter(
            "yabam_relay_failures",
            "Times that the relay began to wait for Postgres, Kafka, or better settings",
            on=FAILURES,
        )
        self.rebuilds = metrics.counter(
            "yabam_relay_producer_rebuilds",
            "Producers discarded after an error that they cannot recover from",
        )
        self.watermark_age = metrics.gauge(
            "yabam_relay_watermark_age_seconds",
            "Since the last watermark of the shard where it is oldest; over 5 s streams degrade",
        )
        self.shards = metrics.gauge(
            "yabam_relay_shards_count",
            "Number of shards; the relays together must own all of them",
        )
