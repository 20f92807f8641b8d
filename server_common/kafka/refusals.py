"""Partitions of which a broker refuses to give what it keeps, because that is damaged.

A broker that meets damage in its own files answers a fetch with CORRUPT_MESSAGE, again and again.
aiokafka writes that into its log and asks on, and whoever reads is told nothing. So the answers are
looked at on their way.
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
    """The partitions whose last fetch was refused over damage, from the first call on; it is kept
    up to date."""
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
    """The next offset behind `at`, which is refused, that is given again.

    Args:
        at: where the damage begins.
        end: the offset behind the last one that there is; there it ends at the latest.
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
