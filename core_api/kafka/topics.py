"""The topics that Core's processes need: made if they are missing, checked if they are there.

The number of partitions of `order-events` is the number of shards of the outbox. Changing it on a
live topic would move stores to other partitions and break their order, so a difference is an error.
Harmful settings of a topic that somebody else made are only logged: they may be intended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from core_api.errors import UnavailableError
from server_common.errors import SettingsError
from server_common.kafka.clients import start_client
from server_common.kafka.connection import Kafka, client_arguments
from server_common.limits import DEAD_LETTER_BYTES, TOPIC_MESSAGE_BYTES
from server_common.logs import get_logger

_log = get_logger()

_CREATE_TIMEOUT_MS: Final = 10_000
_APPEARS_TRIES: Final = 50
_APPEARS_PAUSE_S: Final = 0.1

_HOUR_MS: Final = 3_600_000
_UNLIMITED: Final = "-1"
_AT_LEAST: Final = frozenset({"retention.ms", "max.message.bytes"})
"""Settings for which a lower value does harm, and a higher one none."""
_EXACTLY: Final = frozenset({"cleanup.policy", "message.timestamp.type"})
"""Settings for which any other value does harm."""
MAX_DEAD_LETTER_BYTES: Final = DEAD_LETTER_BYTES
"""A dead letter is its original with headers added: its limit lies above that of other topics."""


class BrokerError(UnavailableError):
    """Kafka cannot be reached or refuses; nothing is known to be written. Try again."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int
    exact: bool = False
    """Whether another number of partitions is an error."""
    configs: Mapping[str, str] = field(default_factory=dict)


def events_topic(name: str, partitions: int) -> Topic:
    """Where the relay publishes. Postgres is the truth: an hour is far beyond any replay window."""
    return Topic(
        name,
        partitions,
        exact=True,
        configs={
            "cleanup.policy": "delete",
            "retention.ms": str(_HOUR_MS),
            "segment.ms": str(_HOUR_MS // 6),
            # A publication of the relay is smaller by half.
            "max.message.bytes": str(TOPIC_MESSAGE_BYTES),
            # Event servers find their start offset by the time that the relay wrote.
            "message.timestamp.type": "CreateTime",
        },
    )


def inbound_topic(name: str, partitions: int) -> Topic:
    """Where producers send commands."""
    return Topic(name, partitions, configs={"retention.ms": str(7 * 24 * _HOUR_MS)})


def outbound_topic(name: str, partitions: int) -> Topic:
    """The topic of acknowledgements to devices, which retry what they did not get in an hour."""
    return Topic(name, partitions, configs={"retention.ms": str(_HOUR_MS)})


def alerts_topic(name: str) -> Topic:
    """The topic for receipt alerts."""
    return Topic(name, 1, configs={"retention.ms": str(7 * 24 * _HOUR_MS)})


def messages_topic(name: str) -> Topic:
    """The topic of short messages between sockets: late readers miss them."""
    return Topic(
        name, 1, configs={"retention.ms": str(_HOUR_MS // 60), "segment.ms": str(_HOUR_MS // 60)}
    )


def revocations_topic(name: str) -> Topic:
    """The topic of revocations for event servers: an hour is longer than any ticket lives."""
    return Topic(name, 1, configs={"cleanup.policy": "delete", "retention.ms": str(_HOUR_MS)})


def receipts_topic(name: str) -> Topic:
    """The topic of receipts from event servers; older ones are superseded."""
    return Topic(name, 1, configs={"retention.ms": str(_HOUR_MS)})


def dead_letter_topic(name: str, partitions: int) -> Topic:
    """The topic of commands that cannot be applied, kept long enough for a person to look."""
    return Topic(
        name,
        partitions,
        configs={
            "retention.ms": str(30 * 24 * _HOUR_MS),
            "max.message.bytes": str(MAX_DEAD_LETTER_BYTES),
        },
    )


async def ensure_topics(kafka: Kafka, topics: Sequence[Topic], request_timeout_s: float) -> None:
    """Make the topics that are missing and check the others.

    Args:
        kafka: the cluster.
        topics: each as it should be.
        request_timeout_s: a request to a broker is given up after so many seconds.

    Raises:
        BrokerError: Kafka cannot be reached, or does not permit creating a topic.
        SettingsError: a topic has another number of partitions than the settings say.
    """
    admin = AIOKafkaAdminClient(
        **client_arguments(kafka), request_timeout_ms=round(request_timeout_s * 1000)
    )
    try:
        await start_client(admin)
        # Listing all topics, unlike asking for one by name, never creates a topic.
        present = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        real = await _has_controller(admin)
        if missing and real:
            await _create(admin, missing)
        await _check(admin, topics)
        if real:
            await _name_differences(admin, [t for t in topics if t not in missing])
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {kafka} does not answer: {error!r}") from error
    finally:
        await admin.close()


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The harmful settings of a topic, each with the value that was found.

    Args:
        wanted: the settings as they should be.
        found: those of the topic; a missing one counts as right.
    """
    return {
        name: found[name]
        for name, value in wanted.items()
        if name in found and not _will_do(name, value, found[name])
    }


def _will_do(name: str, wanted: str, found: str) -> bool:
    if name in _EXACTLY:
        return found == wanted
    return name not in _AT_LEAST or found == _UNLIMITED or int(found) >= int(wanted)


async def _name_differences(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Log the settings of existing topics that may do harm."""
    for topic in topics:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic.name, dict(topic.configs))
        (answer,) = await admin.describe_configs([asked])
        for code, _, _, _, entries in (tuple(resource)[:5] for resource in answer.resources):
            # A user without permission to read settings may still use the topic.
            found = {entry[0]: entry[1] for entry in entries} if code == 0 else {}
            for name, value in differences(topic.configs, found).items():
                _log.warning(
                    "topic_setting_differs",
                    topic=topic.name,
                    setting=name,
                    found=value,
                    wanted=topic.configs[name],
                    what_to_do="kafka-configs --alter, or let Yabam create a new topic",
                )


async def _has_controller(admin: AIOKafkaAdminClient) -> bool:
    """Whether topics can be created on request.

    librdkafka's mock broker names a controller that does not exist. It creates a topic when a
    client asks for it by name, with its own number of partitions.
    """
    cluster = await admin.describe_cluster()
    return cluster["controller_id"] in {broker["node_id"] for broker in cluster["brokers"]}


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    # A replication factor of -1 means the cluster's default; aiokafka accepts it only together with
    # replica assignments, of which an empty set has no effect.
    response = await admin.create_topics(
        [NewTopic(t.name, t.partitions, -1, {}, dict(t.configs)) for t in topics],
        timeout_ms=_CREATE_TIMEOUT_MS,
    )
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            why = next((text for text in rest if isinstance(text, str)), None) or error.description
            raise BrokerError(f"Kafka does not create the topic {name}: {why}")


async def _check(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    wanted = {topic.name: topic for topic in topics}
    found: dict[str, int] = {}
    for _ in range(_APPEARS_TRIES):
        for described in await admin.describe_topics(list(wanted)):
            if described["error_code"] == 0 and described["partitions"]:
                found[described["topic"]] = len(described["partitions"])
        if found.keys() >= wanted.keys():
            break
        # A topic that was just made reaches the brokers' metadata a little later.
        await asyncio.sleep(_APPEARS_PAUSE_S)
    for name, topic in wanted.items():
        if name not in found:
            raise BrokerError(f"the topic {name} was created but does not appear in the metadata")
        if topic.exact and found[name] != topic.partitions:
            raise SettingsError(
                f"the topic {name} has {found[name]} partitions, but YABAM_PARTITIONS="
                f"{topic.partitions}: set it to {found[name]}, or use a new topic (adding"
                " partitions to a live one would break the order within stores)"
            )
