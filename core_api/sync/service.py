"""The service of Fetch Sync: batch the reads, decide, wait if asked to, sign the ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.sync import ResetReason
from core_api.access.callers import Caller
from core_api.access.reach import check_follow
from core_api.errors import UnavailableError, UnreadableRowError
from core_api.overload import Bound, PollingPace
from core_api.postgres.pool import Pool
from core_api.postgres.query_batching import QueryBatcher
from core_api.sync.damaged_rows import (
    Unreadable,
    is_json,
    nothing_readable,
    pages_apart,
    without_malformed,
)
from core_api.sync.events_or_reset import (
    ChannelAnswer,
    encode_answer,
    fitting_pages,
    is_news,
    is_short,
    next_page_of,
    page_of,
    reset_reason,
    snapshot_of,
    void_reason,
)
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.queries import Moment, Page, PageQuery
from core_api.sync.quick.reads import QuickOutcome, QuickReads, is_for_quick_reads
from core_api.sync.reading import read_pages
from core_api.sync.replica import StandbyReplica
from core_api.sync.request import AskedSync, SnapshotPage, SyncRequest
from core_api.sync.snapshot_reading import SnapshotReader
from core_api.sync.stream_grants import StreamGrants
from server_common.limits import ANSWER_BYTES

if TYPE_CHECKING:
    from core_api.sync.long_poll import LongPolls


_PAGES_PER_QUERY: Final = 1000


class Answered(NamedTuple):
    """An answer, and the state it was made from."""

    body: bytes
    epoch: str
    channels: Sequence[ChannelAnswer]

    def heads(self) -> dict[str, int]:
        """The channels' heads as they were read."""
        return {answer.wire.channel: answer.wire.head for answer in self.channels}


class FetchSync:
    """Answers `GET /v1/sync`.

    Args:
        pool: the database.
        long_polls: wakes requests that wait.
        grants: gives the tickets of streams.
        pace: how long polling clients should wait.
        bound: how many syncs may read at once; those that wait do not count.
        deadline_s: how long one read may take.
        reset_given: called with the reason for each snapshot given.
        content_unknown: called with each channel whose content digest is not known.
        large: gives turns to answers that do not fit a shared read.
        unreadable: called with each channel that has an unreadable row, and with the kind of row.
        replica: a standby that is asked first; None: there is none.
    """

    def __init__(
        self,
        pool: Pool,
        long_polls: LongPolls,
        grants: StreamGrants,
        pace: PollingPace,
        bound: Bound,
        deadline_s: float,
        reset_given: Callable[[ResetReason], None],
        content_unknown: Callable[[Channel], None],
        large: LargeAnswers,
        unreadable: Callable[[str, Unreadable], None] = lambda _channel, _what: None,
        replica: StandbyReplica | None = None,
    ) -> None:
        self._pool = pool
        self._long_polls = long_polls
        self._pace = pace
        self._bound = bound
        self._deadline_s = deadline_s
        self._reset_given = reset_given
        self._content_unknown = content_unknown
        self._large = large
        self._unreadable = unreadable
        self._pages: QueryBatcher[PageQuery, Moment, Page] = QueryBatcher(
            lambda queries: read_pages(pool, queries),
            _PAGES_PER_QUERY,
            abandons=True,
            isolates=True,
        )
        self._snapshots = SnapshotReader(pool, large, unreadable)
        self._grants = grants
        self._replica = replica
        self._quick = QuickReads(
            self._pages, grants, pace, bound, deadline_s, self._pages_answered, self._encoded
        )

    async def answer(
        self, caller: Caller, request: SyncRequest, device: str | None = None
    ) -> Answered:
        """The answer.

        Args:
            caller: who asks.
            request: what for.
            device: the name of the device that asks; None: it has not said.

        Raises:
            ForbiddenError: the caller may not follow one of the channels.
            OverloadedError: too many requests wait already.
            RateLimitedError: the caller has had more large answers than its share.
            BadRequestError: a snapshot is too large to be given whole.
            UnavailableError: the database does not answer.
            UnreadableRowError: it can read none of the channels.
        """
        for channel in request.after:
            check_follow(caller, channel)
        asked = AskedSync(caller, request, device)
        moment, channels = await self._read_soon(asked)
        if request.wait_s and not is_news(channels):
            known = {str(channel): seq or 0 for channel, seq in request.after.items()}
            await self._long_polls.wait(known, request.wait_s)
            # Also if nothing came: the ticket's lifetime counts from the read, so it would be over,
            # or nearly, after a wait. A standby may not have the event yet that ended the wait.
            moment, channels = await self._read_soon(asked, of_primary=True)
        body = self._encoded(asked, moment, channels)
        if not is_json(body):
            moment, channels = await self._without_malformed(asked, moment, channels)
            body = self._encoded(asked, moment, channels)
        return Answered(body, moment.epoch, channels)

    def ask(
        self,
        caller: Caller,
        request: SyncRequest,
        device: str | None,
        tell: Callable[[QuickOutcome], None],
    ) -> bool:
        """Begin to answer a request that goes on from its cursors.

        Args:
            caller: who asks.
            request: what for.
            device: the name of the device that asks; None: it has not said.
            tell: is called with the outcome, later and once.

        Returns:
            Whether it was begun; if not, `answer` must be called.

        Raises:
            ForbiddenError, OverloadedError: as `answer` raises.
        """
        if self._replica is not None or not is_for_quick_reads(request):
            return False
        self._quick.ask(AskedSync(caller, request, device), tell)
        return True

    def _encoded(self, asked: AskedSync, moment: Moment, channels: list[ChannelAnswer]) -> bytes:
        grant = None
        if len(channels) == len(asked.request.after):
            grant = self._grants.grant(asked.caller, asked.device, moment, channels)
        return encode_answer(moment, channels, grant, self._pace.after_ms(self._bound.share))

    async def _without_malformed(
        self, asked: AskedSync, moment: Moment, channels: Sequence[ChannelAnswer]
    ) -> tuple[Moment, list[ChannelAnswer]]:
        """The answer without the parts that are not JSON."""
        deadline = asyncio.get_running_loop().time() + self._deadline_s

        async def reset(names: Sequence[str]) -> tuple[Moment, list[ChannelAnswer]]:
            resets: dict[Channel, ResetReason] = {parse_channel(n): "retention" for n in names}
            for reason in resets.values():
                self._reset_given(reason)
            return await self._reset(asked, resets, deadline)

        self._bound.enter()
        try:
            return await without_malformed(
                self._pool,
                moment,
                channels,
                lambda name: asked.request.snapshot_query(parse_channel(name)),
                reset,
                self._unreadable,
            )
        except TimeoutError:
            raise UnavailableError(f"no answer within {self._deadline_s:g} s") from None
        finally:
            self._bound.leave()

    async def _read_soon(
        self, asked: AskedSync, *, of_primary: bool = False
    ) -> tuple[Moment, list[ChannelAnswer]]:
        request = asked.request
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        self._bound.enter()
        # Recorded at both ends, so that failing requests count as load, too.
        self._pace.see(self._bound.share)
        try:
            if request.page is not None:
                return await self._read_page(asked, request.page, deadline)
            if self._replica is not None and not of_primary:
                found = await self._replica.pages(request)
                if found is not None:
                    return found[0], self._pages_answered(request, found[1])
            return await self._read(asked, deadline)
        except TimeoutError:
            raise UnavailableError(f"no answer within {self._deadline_s:g} s") from None
        finally:
            self._bound.leave()
            self._pace.see(self._bound.share)

    async def _read(self, asked: AskedSync, deadline: float) -> tuple[Moment, list[ChannelAnswer]]:
        request = asked.request
        while True:
            queries, positions = request.queries(), request.after
            pages: Sequence[Page]
            try:
                moment, pages = await self._pages.ask(queries, deadline)
                if self._replica is not None:
                    self._replica.saw_primary(moment.unix_s)
                if any(map(is_short, queries, pages)):
                    moment, pages = await self._large_pages(asked, deadline)
            except UnreadableRowError:
                moment, positions, pages = await self._pages_around(asked, deadline)
            pages = fitting_pages(pages, ANSWER_BYTES)
            resets: dict[Channel, ResetReason] = {}
            answers: list[ChannelAnswer] = []
            for (channel, after), page in zip(positions.items(), pages, strict=True):
                if page.content is None:
                    self._content_unknown(channel)
                reason = reset_reason(after, request.epoch, moment, page)
                if reason is None:
                    answers.append(page_of(str(channel), after or 0, page))
                else:
                    resets[channel] = reason
            if not resets:
                return moment, answers
            # The snapshots are read later than the pages. The answer keeps the earlier moment: an
            # earlier ticket makes the event server cover more, never less. Only a new epoch in
            # between would mix two logs; then all is read again.
            try:
                later, snapshots = await self._reset(asked, resets, deadline)
            except UnreadableRowError:
                if not answers:
                    raise
                return moment, answers
            if later.epoch == moment.epoch:
                for reason in resets.values():
                    self._reset_given(reason)
                return moment, answers + snapshots

    def _pages_answered(self, request: SyncRequest, pages: Sequence[Page]) -> list[ChannelAnswer]:
        """The answers where each channel goes on from its cursor."""
        for channel, page in zip(request.after, pages, strict=True):
            if page.content is None:
                self._content_unknown(channel)
        pages = fitting_pages(pages, ANSWER_BYTES)
        return [
            page_of(str(channel), after or 0, page)
            for (channel, after), page in zip(request.after.items(), pages, strict=True)
        ]

    async def _pages_around(
        self, asked: AskedSync, deadline: float
    ) -> tuple[Moment, Mapping[Channel, int | None], Sequence[Page]]:
        """The pages of the readable channels, with their positions."""
        request = asked.request
        async with asyncio.timeout_at(deadline), self._large.turn(asked.caller.subject):
            moment, found = await pages_apart(self._pool, request.queries(), self._unreadable)
        given = [(at, page) for at, page in zip(request.after.items(), found, strict=True) if page]
        return moment, dict(at for at, _ in given), [page for _, page in given]

    async def _large_pages(
        self, asked: AskedSync, deadline: float
    ) -> tuple[Moment, Sequence[Page]]:
        """The pages, from a read of their own."""
        subject = asked.caller.subject
        async with asyncio.timeout_at(deadline), self._large.turn(subject):
            moment, pages = await read_pages(self._pool, asked.request.queries(ANSWER_BYTES))
            self._large.spent(subject, sum(page.size for page in pages))
        return moment, pages

    async def _reset(
        self, asked: AskedSync, resets: Mapping[Channel, ResetReason], deadline: float
    ) -> tuple[Moment, list[ChannelAnswer]]:
        caller, request, _ = asked
        queries = [request.snapshot_query(channel) for channel in resets]
        whole = request.orders is None
        moment, opened = await self._snapshots.read(caller.subject, queries, whole, deadline)
        return moment, [
            snapshot_of(str(channel), reason, orders, moment.epoch)
            for (channel, reason), orders in zip(resets.items(), opened, strict=True)
            if orders is not None
        ]

    async def _read_page(
        self, asked: AskedSync, page: SnapshotPage, deadline: float
    ) -> tuple[Moment, list[ChannelAnswer]]:
        first = asked.request.snapshot_query(page.channel)
        query = first._replace(after=page.after, since=page.head)
        moment, (opened,) = await self._snapshots.read(
            asked.caller.subject, [query], False, deadline
        )
        if opened is None:
            raise nothing_readable()
        reason = void_reason(page, moment, opened)
        if reason is None:
            return moment, [next_page_of(page, opened)]
        self._reset_given(reason)
        return await self._reset(asked, {page.channel: reason}, deadline)
