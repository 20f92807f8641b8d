"""The batches sent to Kafka: each shard is settled when its partition has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, KeysView, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core_api.kafka.messages import PublishResult
from core_api.kafka.topics import BrokerError
from core_api.relay.cycle import Cycle, CycleOutcome, narrow, settle
from core_api.relay.held_shard import HeldShard
from core_api.relay.ports import OutboxPort
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.relay.metrics import RelayMetrics

_log = get_logger()

TOGETHER_S: Final = 0.05
"""How long to wait for the other partitions once one has answered: usually all answer within
milliseconds, and then one statement deletes the rows of all."""


@dataclass(frozen=True, slots=True)
class _Sent:
    cycle: Cycle
    held: HeldShard
    answer: asyncio.Future[PublishResult]
    since: float


class Sent:
    """The batches in progress, by shard.

    Args:
        outbox: where published rows are deleted.
        metrics: where the numbers go.
        clock: seconds that only go forward.
        is_held: whether the relay still has this lease of a shard.
        answered: called when a partition answers late.
    """

    def __init__(
        self,
        outbox: OutboxPort,
        metrics: RelayMetrics,
        clock: Callable[[], float],
        is_held: Callable[[int, HeldShard], bool],
        answered: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._is_held = is_held
        self._answered = answered
        self._by_shard: dict[int, _Sent] = {}

    @property
    def shards(self) -> KeysView[int]:
        """The shards with a batch in progress."""
        return self._by_shard.keys()

    def silent_since(self, time: float) -> list[int]:
        """The shards that have waited for an answer since that time or longer."""
        return sorted(shard for shard, one in self._by_shard.items() if one.since <= time)

    def add(
        self,
        cycle: Cycle,
        held: Mapping[int, HeldShard],
        answers: Mapping[int, asyncio.Future[PublishResult]],
    ) -> None:
        """Take in a cycle whose messages were sent.

        Args:
            cycle: what was read, and became these messages.
            held: the lease of each shard of the cycle.
            answers: by shard, the result of its partition.
        """
        now = self._clock()
        for shard, answer in answers.items():
            self._by_shard[shard] = _Sent(cycle, held[shard], answer, now)

    async def until_answered(self, answers: Iterable[asyncio.Future[PublishResult]]) -> None:
        """Wait a moment for the answers."""
        _, late = await asyncio.wait(list(answers), timeout=TOGETHER_S)
        for answer in late:
            answer.add_done_callback(lambda _: self._answered())

    async def settle_answered(self) -> None:
        """Settle the answered shards, with one statement for each cycle.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        cycles: dict[int, dict[int, _Sent]] = {}
        for shard, one in self._by_shard.items():
            if one.answer.done():
                cycles.setdefault(id(one.cycle), {})[shard] = one
        for answered in cycles.values():
            for shard in answered:
                del self._by_shard[shard]
            await self._settle_answers(answered)

    async def settle_silent(self, cycle: Cycle, held: Mapping[int, HeldShard]) -> None:
        """Settle the shards of a cycle without messages."""
        part = cycle.only(cycle.again.keys() - cycle.messages.keys())
        if part.again:
            await self._settle(part, {}, held)

    async def drain(self, within_s: float) -> None:
        """Settle the shards that are answered soon, and forget the rest.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        try:
            if self._by_shard:
                answers = [one.answer for one in self._by_shard.values()]
                await asyncio.wait(answers, timeout=within_s)
                await self.settle_answered()
        finally:
            self._by_shard.clear()

    async def _settle_answers(self, answered: Mapping[int, _Sent]) -> None:
        stored: dict[int, int] = {}
        good: dict[int, HeldShard] = {}
        now = self._clock()
        for shard, one in answered.items():
            count, why = _stored_of(shard, one)
            if why is not None:
                one.held.fail(now, why)
            elif self._is_held(shard, one.held):
                one.held.recover()
                stored[shard], good[shard] = count, one.held
        if good:
            cycle = next(iter(answered.values())).cycle.only(good)
            await self._settle(cycle, stored, good)

    async def _settle(
        self, cycle: Cycle, stored: Mapping[int, int], held: Mapping[int, HeldShard]
    ) -> None:
        """Delete the rows that Kafka has stored, and record which watermarks were sent."""
        now, epoch = self._clock(), cycle.reading.epoch
        fences = {shard: held[shard].fence for shard in cycle.rows}
        outcome = settle(cycle, stored)
        for shard, events in outcome.events.items():
            one = held[shard]
            one.is_behind = events < len(cycle.rows[shard])
            if shard in outcome.marked:
                one.watermark_at, one.published_since = now, False
            elif events:
                one.published_since = True
            if events:
                one.at_most = None
        left: dict[int, str | None] = {}
        if outcome.set_aside:
            if await self._set_aside(cycle, outcome.set_aside, fences) < len(outcome.set_aside):
                left |= outcome.set_aside
            for shard in cycle.rows:
                held[shard].forget_refused(outcome.set_aside)
        if outcome.done:
            # A lease is locked only where a row of its shard is deleted.
            done = set(outcome.done)
            theirs = {s: fences[s] for s, ids in cycle.row_ids.items() if not done.isdisjoint(ids)}
            if await self._outbox.delete(theirs, outcome.done, epoch) < len(outcome.done):
                left |= dict.fromkeys(outcome.done)
            self._count(cycle, outcome)
        for shard in cycle.rows:
            held[shard].keep(left, epoch)

    async def _set_aside(
        self, cycle: Cycle, reasons: Mapping[int, str], fences: Mapping[int, int]
    ) -> int:
        count = await self._outbox.set_aside(fences, reasons, cycle.reading.epoch)
        self._metrics.set_aside.inc(count)
        for row in (row for rows in cycle.rows.values() for row in rows if row.id in reasons):
            _log.error("event_set_aside", id=row.id, events=row.ids, reason=reasons[row.id])
        return count

    def _count(self, cycle: Cycle, outcome: CycleOutcome) -> None:
        events = len(outcome.done) - outcome.trimmed
        self._metrics.published.inc(events)
        self._metrics.trimmed.inc(outcome.trimmed)
        self._metrics.batch.observe(events)
        self._metrics.wait.observe(cycle.reading.oldest_age_s)


def _stored_of(shard: int, sent: _Sent) -> tuple[int, str | None]:
    """How many of a shard's messages are stored, and why the others are not; None: no fault."""
    error = sent.answer.exception()
    if error is not None:
        sent.held.count(None)
        if not isinstance(error, BrokerError):
            raise error
        return 0, str(error)
    result = sent.answer.result()
    count = result.stored.get(shard)
    sent.held.count(count)
    refused = result.refused.get(shard)
    if refused is not None:
        goes_on = narrow(sent.cycle, sent.held, shard, refused.count, refused.reason)
        return 0, None if goes_on else refused.reason
    return (count, None) if count is not None else (0, "Kafka has not stored its records")
