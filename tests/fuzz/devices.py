"""Targets for devices: what they publish over MQTT, and the records of Kafka that carry it."""

from __future__ import annotations

from tests.unit.server_common.devices.test_any_message import (
    check_outbound,
    check_said,
    check_taken,
)


def mqtt(data: bytes) -> None:
    """A topic and a payload, with a NUL between: taken, or refused by a reason."""
    topic, _, payload = data.partition(b"\x00")
    check_taken(topic.decode("utf-8", "replace"), payload)


def device_record(data: bytes) -> None:
    """A record between gateway and Core, in both directions."""
    check_said(data)
    check_outbound(data)
