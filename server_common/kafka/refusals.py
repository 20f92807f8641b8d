"""Partitions whose records the broker refuses to return, because they are damaged on its disk.

Such a broker answers each fetch with CORRUPT_MESSAGE. aiokafka only logs that and fetches again,
without telling its caller. So this module checks the answers before aiokafka does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest

_CORRUPT_MESSAGE: Final[int] = CorruptRecordException.errno
_refused_of: Final[WeakKeyDictionary[AIOKafkaConsumer, set[TopicPartition]]] = WeakKeyDictionary()


def refused(consumer: AIOKafkaConsumer) -> set[TopicPartition]:
    """The partitions whose last fetch was refused because of damage. The set is watched from the
    first call on, and kept up to date."""
    known = _refused_of.get(consumer)
    if known is not None:
        return known
    found = _refused_of[consumer] = set()
    client: Any = consumer._client
    send = client.send

    async def observed(node: int, request: Any, **how: Any) -> Any:
        answer = await send(node, request, **how)
        if isinstance(request, FetchRequest):
            for topic, partitions in answer.topics:
                for partition, code, *_ in partitions:
                    note = found.add if code == _CORRUPT_MESSAGE else found.discard
                    note(TopicPartition(topic, partition))
        return answer

    client.send = observed
    return found


async def first_given(at: int, end: int, is_given: Callable[[int], Awaitable[bool]]) -> int:
    """The first offset after the refused `at` from which the broker returns records again.

    Args:
        at: where the damage begins.
        end: the offset after the partition's last record; at most this is returned, or `at` + 1.
        is_given: asks the broker for the records from an offset on.
    """
    low, high, step = at, max(end, at + 1), 1
    while (probe := at + step) < high:
        if await is_given(probe):
            high = probe
            break
        low, step = probe, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if await is_given(middle):
            high = middle
        else:
            low = middle
    return high
