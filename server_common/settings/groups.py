"""Settings that processes of both servers have in common: one name, default and range for each."""

from __future__ import annotations

from random import choice
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from server_common.environment import FromEnvironment
from server_common.mqtt.broker import parse_address
from server_common.stream_placement import StreamNodes

Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]


def _mqtt_address(text: str) -> str:
    parse_address(text)
    return text


MqttAddress: TypeAlias = Annotated[str, AfterValidator(_mqtt_address)]


class PartitionSettings(FromEnvironment):
    """The partitions of the events."""

    partitions: int = Field(4, ge=1, le=10_000)
    """Partitions of the events topic."""


class StreamNodeSettings(PartitionSettings):
    """Which event server carries which partitions."""

    stream_nodes: dict[str, list[int]] = Field({})
    """If event servers divide the partitions: the stream URL of each with the partitions that it
    carries, as JSON such as {"https://a/v1/stream": [0, 1]}; at Core it takes precedence over
    YABAM_STREAM_URL."""

    @field_validator("stream_nodes")
    @classmethod
    def _carried(cls, nodes: dict[str, list[int]], info: ValidationInfo) -> dict[str, list[int]]:
        if nodes:
            StreamNodes(nodes, info.data.get("partitions", 1), choice)
        return nodes


class EventsTopicSettings(FromEnvironment):
    """The name of the topic of events."""

    events_topic: str = "order-events"
    """The topic that the relay writes and event servers read."""


class SideTopicSettings(FromEnvironment):
    """The names of the other topics between Core and event servers."""

    messages_topic: str = "channel-messages"
    """The topic of the short messages between sockets; nothing in it is kept."""
    receipts_topic: str = "device-receipts"
    """The topic of devices' receipts, from event servers to Core."""
    revocations_topic: str = "token-revocations"
    """The topic by which event servers learn which tokens are revoked."""


class DeviceTopicSettings(FromEnvironment):
    """The names of the topics of devices."""

    devices_inbound_topic: str = "devices.inbound"
    """The topic of devices' messages."""
    devices_outbound_topic: str = "devices.outbound"
    """The topic of acknowledgements to devices."""
    devices_dlq_topic: str = "devices.dead-letter"
    """Where messages of devices go that cannot be applied."""
