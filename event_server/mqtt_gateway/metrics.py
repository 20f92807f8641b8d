"""The gateway's numbers, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from server_common.devices.messages import REASONS

TASKS: Final = ("down", "up", "telemetry", "star", "sink", "certificate")
PUBLISHED: Final = ("orders", "state", "commands", "accepted", "marks")
SKIPS: Final = ("unreadable", "malformed", "old_epoch", "overdue")
TAKEN: Final = ("result", "event", "received", "status", "telemetry", "snapshot", "star")


class GatewayMetrics:
    """The gateway's numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.published = Counter(
            "yabam_mqtt_published",
            "Messages that the broker has acknowledged (marks: that were sent), by what they are",
            ["what"],
            registry=registry,
        )
        self.refused_by_broker = Counter(
            "yabam_mqtt_refused_by_broker",
            "Publications that the broker does not permit; they are passed over",
            registry=registry,
        )
        self.skipped = Counter(
            "yabam_mqtt_records_skipped",
            "Records of the log from which nothing was published, by reason",
            ["reason"],
            registry=registry,
        )
        self.taken = Counter(
            "yabam_mqtt_taken",
            "Messages of devices that are stored in Kafka, by kind",
            ["kind"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "yabam_mqtt_dead_letters",
            "Messages of devices in the dead letter topic, by reason",
            ["reason"],
            registry=registry,
        )
        self.flooded = Counter(
            "yabam_mqtt_flooded",
            "Messages of devices that said more than a device may; a device sends results and "
            "events again",
            registry=registry,
        )
        self.retries = Counter(
            "yabam_mqtt_retries",
            "Tries that failed because Kafka or Core did not answer",
            registry=registry,
        )
        self.sessions = Counter(
            "yabam_mqtt_sessions",
            "Sessions at the broker that were begun, by task",
            ["task"],
            registry=registry,
        )
        self.restarts = Counter(
            "yabam_mqtt_task_restarts",
            "Background tasks that ended and were started again",
            ["task"],
            registry=registry,
        )
        self.held = Gauge(
            "yabam_mqtt_held_records",
            "Records that were read and that the broker has not acknowledged yet",
            registry=registry,
        )
        self.behind = Gauge(
            "yabam_mqtt_behind_records",
            "Records in the topics that were not read yet, over the partitions read here",
            registry=registry,
        )
        self.partitions = Gauge(
            "yabam_mqtt_partitions", "Partitions of the events topic read here", registry=registry
        )
        self.devices = Gauge(
            "yabam_mqtt_devices_online", "Devices that were heard of late", registry=registry
        )
        # Every series is there from the start, at 0: what appears with its first fault raises no
        # alert.
        for what in PUBLISHED:
            self.published.labels(what)
        for reason in SKIPS:
            self.skipped.labels(reason)
        for kind in TAKEN:
            self.taken.labels(kind)
        for reason in REASONS:
            self.dead_letters.labels(reason)
        for task in TASKS:
            self.sessions.labels(task)
