"""Metrics of devices, each in the registry of the process that does the work."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from server_common.devices.messages import KINDS, REASONS
from server_common.ops.metric_factory import MetricFactory

OUTCOMES: Final = ("applied", "repeated", "refused")


class CommandMetrics:
    """What Core counts of commands.

    Args:
        registry: Core's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.expired = metrics.counter(
            "yabam_core_device_commands_expired",
            "Commands that their device has not answered in time",
        )
        self.stuck = metrics.counter(
            "yabam_core_device_commands_stuck",
            "Tries to let a command expire that failed because of that command",
        )


class CommandAlarmMetrics:
    """What a relay counts of commands that nobody answers.

    Args:
        registry: the relay's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.unanswered = metrics.gauge(
            "yabam_relay_unanswered_commands",
            "Commands that expired within the last hour and were not answered since",
        )
        self.alerts = metrics.counter(
            "yabam_relay_unanswered_alerts",
            "Commands that nobody answered, told on the alerts topic",
        )


class DeviceMetrics:
    """What ingest counts of devices' messages.

    Args:
        registry: ingest's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.messages = metrics.counter(
            "yabam_devices_messages",
            "Messages of devices processed: applied, repeated (nothing changed) or refused",
            kind=(*KINDS, "unreadable"),
            outcome=OUTCOMES,
        )
        self.dead_letters = metrics.counter(
            "yabam_devices_dead_letters",
            "Messages of devices in the dead letter topic, by reason",
            reason=REASONS,
        )
        self.retries = metrics.counter(
            "yabam_devices_retries", "Tries that failed because Postgres or Kafka did not answer"
        )
        self.behind = metrics.gauge(
            "yabam_devices_behind_records",
            "Records that are in devices.inbound and not yet applied, over the partitions here",
        )
        self.stalled = metrics.gauge(
            "yabam_devices_stalled_partitions",
            "Partitions whose messages have waited for more than 30 s; the others go on",
        )
        self.dropped = metrics.counter(
            "yabam_devices_measurements_dropped", "Measurements for which there was no room"
        )
        self.silent = metrics.counter(
            "yabam_devices_silent", "Devices found offline because they were silent for too long"
        )
