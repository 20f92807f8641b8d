"""The gateway's numbers, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from server_common.devices.messages import REASONS
from server_common.ops.metric_factory import MetricFactory

TASKS: Final = ("down", "up", "telemetry", "star", "sink", "certificate")
PUBLISHED: Final = ("orders", "state", "commands", "accepted", "marks")
SKIPS: Final = ("unreadable", "malformed", "old_epoch", "overdue")
TAKEN: Final = ("result", "event", "received", "status", "telemetry", "snapshot", "star")


class GatewayMetrics:
    """The gateway's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.published = metrics.counter(
            "yabam_mqtt_published",
            "Messages that the broker has acknowledged (marks: that were sent), by what they are",
            what=PUBLISHED,
        )
        self.refused_by_broker = metrics.counter(
            "yabam_mqtt_refused_by_broker",
            "Publications that the broker does not permit; they are skipped",
        )
        self.skipped = metrics.counter(
            "yabam_mqtt_records_skipped",
            "Records of the log from which nothing was published, by reason",
            reason=SKIPS,
        )
        self.taken = metrics.counter(
            "yabam_mqtt_taken",
            "Messages of devices that are stored in Kafka, by kind",
            kind=TAKEN,
        )
        self.dead_letters = metrics.counter(
            "yabam_mqtt_dead_letters",
            "Messages of devices in the dead letter topic, by reason",
            reason=REASONS,
        )
        self.flooded = metrics.counter(
            "yabam_mqtt_flooded",
            "Messages above the rate limit of their device; a device sends results and "
            "events again",
        )
        self.retries = metrics.counter(
            "yabam_mqtt_retries",
            "Tries that failed because Kafka or Core did not answer",
        )
        self.sessions = metrics.counter(
            "yabam_mqtt_sessions",
            "Sessions at the broker that were begun, by task",
            task=TASKS,
        )
        self.restarts = metrics.counter(
            "yabam_mqtt_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )
        self.held = metrics.gauge(
            "yabam_mqtt_held_records",
            "Records that were read and that the broker has not acknowledged yet",
        )
        self.behind = metrics.gauge(
            "yabam_mqtt_behind_records",
            "Records in the topics that were not read yet, over the partitions read here",
        )
        self.partitions = metrics.gauge(
            "yabam_mqtt_partitions", "Partitions of the events topic read here"
        )
        self.devices = metrics.gauge("yabam_mqtt_devices_online", "Devices that were heard lately")
