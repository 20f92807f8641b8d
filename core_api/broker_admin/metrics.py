"""The numbers of the broker's admin, for the person on call."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

TASKS: Final = ("admin", "certificate")


class AdminMetrics:
    """Its numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.devices = Gauge(
            "yabam_mqtt_admin_devices", "Devices that may connect to the broker", registry=registry
        )
        self.commands = Counter(
            "yabam_mqtt_admin_commands", "Commands that the broker has carried out",
            registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "yabam_mqtt_admin_failures",
            "Connections that ended because the broker or Postgres did not answer",
            registry=registry,
        )
        self.keyless = Counter(
            "yabam_mqtt_admin_keyless",
            "Devices that cannot connect because their key is not among YABAM_DEVICES_KEYS",
            registry=registry,
        )
        self.restarts = Counter(
            "yabam_mqtt_admin_task_restarts",
            "Background tasks that ended and were started again",
            ["task"],
            registry=registry,
        )
        for task in TASKS:
            self.restarts.labels(task)
