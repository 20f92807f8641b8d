"""Gives accounts their rights at Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, SecurityDisabled, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from core_api.kafka.rights import Right
from core_api.kafka.topics import BrokerError
from server_common.kafka.connection import Kafka, client_arguments

_ANYWHERE: Final = "*"
_LITERAL: Final = 3
_ALLOW: Final = 3


async def permit(kafka: Kafka, account: str, rights: Iterable[Right]) -> None:
    """Give an account these rights; those that it has already stay as they are.

    Args:
        kafka: the cluster, and an account there that may alter rights.
        account: who gets them.
        rights: what it may do from now on, wherever it connects from.

    Raises:
        BrokerError: Kafka cannot be reached, or refuses. Some rights may have been given.
        SettingsError: the files of TLS cannot be used.
    """
    client = AIOKafkaClient(**client_arguments(kafka))
    try:
        await client.bootstrap()
        node = client.get_random_node()
        for right in rights:
            asked = CreateAclsRequest(
                right.resource, right.name, _LITERAL, f"User:{account}", _ANYWHERE,
                right.operation, _ALLOW,
            )  # fmt: skip
            answer = await client.send(node, asked)
            ((code, told, *_),) = answer.creation_responses
            if code:
                raise _refused(code, told, right)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {kafka} does not answer: {error!r}") from error
    finally:
        await client.close()


def _refused(code: int, told: str | None, right: Right) -> BrokerError:
    error = for_code(code)
    if error is SecurityDisabled:
        return BrokerError("Kafka keeps no access rules: set authorizer.class.name there")
    asked = f"{right.operation.name} of {right.name}"
    return BrokerError(f"Kafka does not permit {asked}: {told or error.__name__}")
