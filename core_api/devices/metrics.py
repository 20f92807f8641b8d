"""Metrics of devices, each in the registry of the process that does the work."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from server_common.devices.messages import KINDS, REASONS

OUTCOMES: Final = ("applied", "repeated", "refused")


class CommandMetrics:
    """What Core counts of commands.

    Args:
        registry: Core's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.expired = Counter(
            "yabam_core_device_commands_expired",
            "Commands that their device has not answered in time",
            registry=registry,
        )
        self.stuck = Counter(
            "yabam_core_device_commands_stuck",
            "Tries to let a command expire that failed because of that command",
            registry=registry,
        )


class CommandAlarmMetrics:
    """What a relay counts of commands that nobody answers.

    Args:
        registry: the relay's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unanswered = Gauge(
            "yabam_relay_unanswered_commands",
            "Commands that expired within the last hour and were not answered since",
            registry=registry,
        )
        self.alerts = Counter(
            "yabam_relay_unanswered_alerts",
            "Commands that nobody answered, told on the alerts topic",
            registry=registry,
        )


class DeviceMetrics:
    """What ingest counts of devices' messages.

    Args:
        registry: ingest's. Each series is there from the start, at 0.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "yabam_devices_messages",
            "Messages of devices dealt with: applied, repeated (nothing changed) or refused",
            ["kind", "outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "yabam_devices_dead_letters",
            "Messages of devices in the dead letter topic, by reason",
            ["reason"],
            registry=registry,
        )
        self.retries = Counter(
            "yabam_devices_retries",
            "Tries that failed because Postgres or Kafka did not answer",
            registry=registry,
        )
        self.behind = Gauge(
            "yabam_devices_behind_records",
            "Records that are in devices.inbound and not yet applied, over the partitions here",
            registry=registry,
        )
        self.stalled = Gauge(
            "yabam_devices_stalled_partitions",
            "Partitions whose messages have waited for more than 30 s; the others go on",
            registry=registry,
        )
        self.dropped = Counter(
            "yabam_devices_measurements_dropped",
            "Measurements for which there was no room",
            registry=registry,
        )
        self.silent = Counter(
            "yabam_devices_silent",
            "Devices found offline because they were silent for too long",
            registry=registry,
        )
        for kind in (*KINDS, "unreadable"):
            for outcome in OUTCOMES:
                self.messages.labels(kind, outcome)
        for reason in REASONS:
            self.dead_letters.labels(reason)
