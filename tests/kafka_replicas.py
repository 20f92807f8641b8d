"""Which nodes have the replicas of partitions, and how to move them to other nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from deploy.kafka.server import KafkaServerError

_TIMEOUT_MS: Final = 20_000

Place = tuple[str, int]
"""A topic and one of its partitions."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The nodes of one partition, by their ids."""

    leader: int
    """0 or less: it has no leader."""
    replicas: frozenset[int]
    in_sync: frozenset[int]


async def standings(bootstrap: str, topics: Sequence[str]) -> dict[Place, Standing]:
    """The nodes of each partition of the topics; empty: no node answers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    except (KafkaError, OSError, TimeoutError):
        return {}
    finally:
        await admin.close()
    return {
        (topic["topic"], part["partition"]): Standing(
            part["leader"], frozenset(part["replicas"]), frozenset(part["isr"])
        )
        for topic in described
        for part in topic["partitions"]
    }


async def move(bootstrap: str, nodes: Mapping[Place, Sequence[int]]) -> None:
    """Move the replicas of each partition to these nodes; the first is its preferred leader.

    If the current leader is not among them, another node becomes the leader once it has the data.

    Raises:
        KafkaServerError: Kafka refuses this; the text says why.
    """
    topics: dict[str, list[Any]] = {}
    for (topic, partition), those in nodes.items():
        topics.setdefault(topic, []).append((partition, list(those), {}))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        request = AlterPartitionReassignmentsRequest(
            _TIMEOUT_MS, [(topic, parts, {}) for topic, parts in topics.items()], {}
        )
        answer = await admin._send_to_controller(request)
    finally:
        await admin.close()
    refused = [part for topic in answer.responses for part in topic[1] if part[1]]
    if answer.error_code or refused:
        raise KafkaServerError(
            f"Kafka does not move the partitions: {answer.error_message or refused}"
        )
