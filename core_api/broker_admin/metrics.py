"""The numbers of the broker's admin, for the person on call."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from server_common.ops.metric_factory import MetricFactory


class AdminMetrics:
    """Its numbers, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = MetricFactory(registry)
        self.devices = metrics.gauge(
            "yabam_mqtt_admin_devices", "Devices that may connect to the broker"
        )
        self.commands = metrics.counter(
            "yabam_mqtt_admin_commands", "Commands that the broker has carried out"
        )
        self.failures = metrics.counter(
            "yabam_mqtt_admin_failures",
            "Connections that ended because the broker or Postgres did not answer",
        )
        self.keyless = metrics.counter(
            "yabam_mqtt_admin_keyless",
            "Devices that cannot connect because their key is not among YABAM_DEVICES_KEYS",
        )
        self.restarts = metrics.counter(
            "yabam_mqtt_admin_task_restarts",
            "Background tasks that ended and were started again",
            task=(),
        )
