"""The minimal rights of each process's account at a Kafka with access rules. Pure.

Only the relay's may write the log, so nobody else can forge an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

_INGEST_GROUPS: Final = ("core-ingest", "core-devices")
_RECEIPTS_GROUP: Final = "core-receipts"


class Resource(IntEnum):
    """What a rule is about, as Kafka's protocol numbers it."""

    TOPIC = 2
    GROUP = 3


class KafkaOperation(IntEnum):
    """What may be done, as Kafka's protocol numbers it."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


class Right(NamedTuple):
    """One operation with one topic or group."""

    resource: Resource
    name: str
    operation: KafkaOperation


_READ: Final = (KafkaOperation.READ, KafkaOperation.DESCRIBE)
_WRITE: Final = (KafkaOperation.WRITE, KafkaOperation.DESCRIBE)
_OWN: Final = (KafkaOperation.CREATE, KafkaOperation.DESCRIBE, KafkaOperation.DESCRIBE_CONFIGS)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the topics, and of the gateways' group."""

    events: str = "order-events"
    inbound: str = "orders.inbound"
    inbound_dlq: str = "orders.inbound.dlq"
    alerts: str = "store-alerts"
    messages: str = "channel-messages"
    receipts: str = "device-receipts"
    revocations: str = "token-revocations"
    devices_inbound: str = "devices.inbound"
    devices_outbound: str = "devices.outbound"
    devices_dlq: str = "devices.dead-letter"
    gateways: str = "mqtt-gateway"


def rights_of(names: Names) -> dict[str, list[Right]]:
    """The rights of each kind of account: `relay`, `events`, `ingest`, `gateway`, `producer`."""
    return {
        "relay": [
            *_topic(names.events, *_OWN, KafkaOperation.READ, KafkaOperation.WRITE),
            *_topic(names.alerts, *_OWN, KafkaOperation.WRITE),
            *_topic(names.revocations, *_OWN, KafkaOperation.WRITE),
            *_topic(names.receipts, *_READ),
            Right(Resource.GROUP, _RECEIPTS_GROUP, KafkaOperation.DESCRIBE),
        ],
        "events": [
            *_topic(names.events, *_READ),
            *_topic(names.revocations, *_READ),
            *_topic(names.messages, *_READ, KafkaOperation.WRITE),
            *_topic(names.receipts, *_WRITE),
        ],
        "ingest": [
            *_topic(names.inbound, *_OWN, KafkaOperation.READ),
            *_topic(names.devices_inbound, *_OWN, KafkaOperation.READ),
            *_topic(names.inbound_dlq, *_OWN, KafkaOperation.WRITE),
            *_topic(names.devices_outbound, *_OWN, KafkaOperation.WRITE),
            *_topic(names.devices_dlq, *_OWN, KafkaOperation.WRITE),
            *_topic(names.receipts, *_OWN, KafkaOperation.READ),
            *_topic(names.messages, *_OWN, KafkaOperation.READ),
            *(
                Right(Resource.GROUP, group, KafkaOperation.READ)
                for group in (*_INGEST_GROUPS, _RECEIPTS_GROUP)
            ),
        ],
        "gateway": [
            *_topic(names.events, *_READ),
            *_topic(names.devices_outbound, *_READ),
            *_topic(names.devices_inbound, *_WRITE),
            *_topic(names.devices_dlq, *_WRITE),
            Right(Resource.GROUP, names.gateways, KafkaOperation.READ),
        ],
        "producer": [*_topic(names.inbound, *_WRITE)],
    }


def _topic(name: str, *operations: KafkaOperation) -> list[Right]:
    return [Right(Resource.TOPIC, name, operation) for operation in operations]
