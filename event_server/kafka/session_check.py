"""Checks the brokers of one reading session, while it reads on.

A slow broker does not invalidate what was read. The watermark shows how far a server lags, and ends
the streams in time; the session itself waits, so that it need not restart with empty rings. It ends
when the log was cut or replaced, and when records or an answer of the brokers are missing for so
long that another connection may help. Each broker is asked by itself, so that one
that stands still hides nothing of what the others owe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from event_server.errors import LogReplacedError, SourceLostError

CHECK_EVERY_S: Final = 1.0
MAX_LOOKS: Final = 30
"""After how many checks in a row without an answer about a partition's end the session ends: longer
than a broker's start, and shorter than the window that is worth keeping. Checks are counted, not
seconds: a process that was suspended gave the brokers no time to answer."""
MAX_LOOKS_FOR_RECORDS: Final = 10
"""After how many checks in a row without due records of an answering broker the session ends: its
streams have ended by then, and a new connection may get the records."""
LOOKS_PER_SEARCH: Final = 5
"""At how many looks in a row a partition may be silent with nothing owed, until it is asked again
who leads it: one that was cut off from the others, and does not know that it leads no more, has
nothing new for ever."""


class _Question:
    """Where partitions of one broker end, asked while reading goes on; `positions`: where they were
    read then."""

    def __init__(self, consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = positions
        self.task = asyncio.create_task(consumer.end_offsets(list(positions)))

    def ends(self) -> Mapping[TopicPartition, int] | None:
        """The answer; None: there is none yet.

        Raises:
            KafkaError: the brokers refuse.
        """
        if not self.task.done() or self.task.cancelled():
            return None
        try:
            ends: Mapping[TopicPartition, int] = self.task.result()
        except KafkaTimeoutError:
            return None
        return ends


class SessionCheck:
    """Compares what a session has read with what the brokers have.

    Args:
        consumer: started, with the session's partitions.
        starts: the offset that is read first in each partition.
        silence_s: a partition without records for so many seconds is checked: the relay writes a
            watermark every second.
        now: monotonic seconds.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        starts: Mapping[TopicPartition, int],
        silence_s: float,
        now: float,
    ) -> None:
        self.positions = dict(starts)
        """The offset that is read next in each partition; the session keeps it up to date."""
        self.heard = dict.fromkeys(starts, now)
        """When each partition last had a record, in monotonic seconds; updated likewise."""
        self._consumer = consumer
        self._silence_s = silence_s
        self._questions: list[_Question] = []
        self._quiet = 0
        """At how many looks in a row a partition was silent."""
        self._owing: dict[TopicPartition, int] = {}

    async def look(self, now: float) -> None:
        """Check once; call it every `CHECK_EVERY_S`. It never waits for a broker.

        Args:
            now: monotonic seconds.

        Raises:
            LogReplacedError: the log ends before what was read already.
            SourceLostError: existing records do not arrive, or no broker answers.
            KafkaError: the brokers refuse.
        """
        # aiokafka does not report it: its consumer would go on without records.
        fetching: asyncio.Task[None] = self._consumer._fetcher.error_future
        if fetching.done():
            raise SourceLostError("the consumer has stopped fetching")
        silent = {tp for tp, at in self.heard.items() if now - at > self._silence_s}
        await self._count(silent)
        doubtful = silent | {tp for tp in self.positions if self._seems_cut(tp)}
        for question in self._questions:
            doubtful -= question.positions.keys()
        for of_one in self._by_leader(doubtful):
            asked = {tp: self.positions[tp] for tp in of_one}
            self._questions.append(_Question(self._consumer, asked))
        self._quiet = self._quiet + 1 if silent else 0
        if self._quiet and self._quiet % LOOKS_PER_SEARCH == 0:
            # aiokafka itself asks every half minute, if nobody refuses.
            self._consumer._client.force_metadata_update()

    async def close(self) -> None:
        """End what is under way."""
        tasks = [question.task for question in self._questions]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _by_leader(self, partitions: Iterable[TopicPartition]) -> Iterable[set[TopicPartition]]:
        """The partitions that one broker is asked about; those without a leader stand together."""
        leader_of = self._consumer._client.cluster.leader_for_partition
        found: dict[object, set[TopicPartition]] = {}
        for tp in partitions:
            found.setdefault(leader_of(tp), set()).add(tp)
        return found.values()

    def _seems_cut(self, tp: TopicPartition) -> bool:
        """Whether a fetch found the partition's end before the position. The fetch may be older
        than that: damaged records are read without aiokafka, which learns of the end later."""
        end = self._consumer.highwater(tp)
        return end is not None and end < self.positions[tp]

    async def _count(self, silent: set[TopicPartition]) -> None:
        """Count for how many checks in a row the silent partitions lack records or an answer.

        Raises:
            LogReplacedError: the log ends before what was read already.
            SourceLostError: one has lacked them for too long.
        """
        owing: dict[TopicPartition, int] = {}
        asked = self._questions
        self._questions = [question for question in asked if not question.task.done()]
        for question in asked:
            ends = question.ends()
            if ends is None:
                most, owed = MAX_LOOKS, silent & question.positions.keys()
                why = "no broker says where it ends"
            else:
                most, owed = MAX_LOOKS_FOR_RECORDS, await self._late(question, ends, silent)
                why = "its records do not arrive"
            for tp in owed:
                owing[tp] = looks = self._owing.get(tp, 0) + 1
                if looks > most:
                    raise SourceLostError(f"partition {tp.partition}: {why}, in {looks} looks")
        self._owing = owing

    async def _late(
        self,
        question: _Question,
        ends: Mapping[TopicPartition, int],
        silent: set[TopicPartition],
    ) -> set[TopicPartition]:
        """The partitions whose records exist and do not arrive."""
        late = set()
        for tp, end in ends.items():
            if end < (position := question.positions[tp]):
                raise LogReplacedError(f"partition {tp.partition} ends before offset {position}")
            # If no record is missing, the relay is silent, and the watermark shows that. A
            # transaction's marker has an offset, but gives no record.
            if tp in silent and self.positions[tp] < end > await self._consumer.position(tp):
                late.add(tp)
        return late
