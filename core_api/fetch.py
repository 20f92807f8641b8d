"""Fetch Sync at work: gather the reads, decide, wait where asked to, sign the ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.sync import ResetReason, StreamGrant
from client_sdk.contract.ticket import Ticket, TicketKeys
from core_api.access import Caller, check_sync
from core_api.errors import UnavailableError
from core_api.gather import Gatherer
from core_api.load import Bound, Pace
from core_api.storage.pool import Pool
from core_api.storage.reads import (
    Moment,
    OpenOrders,
    Page,
    PageQuery,
    SnapshotQuery,
    read_pages,
    read_snapshots,
)
from core_api.sync import (
    ChannelAnswer,
    cursor_of,
    encode_answer,
    has_more,
    is_news,
    next_page_of,
    page_of,
    reset_reason,
    snapshot_of,
    void_reason,
)
from core_api.sync_request import SnapshotPage, SyncRequest

if TYPE_CHECKING:
    from core_api.tail import Tail


_PAGES_PER_QUERY: Final = 1000
_SNAPSHOTS_PER_QUERY: Final = 50


class Answered(NamedTuple):
    """An answer, and what it rests on."""

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
        tail: wakes requests that wait.
        tickets: signs stream tickets.
        stream_url: an event server that carries these channels; None: there is none.
        ticket_ttl_s: how long a ticket is good for; less than the event servers' replay window.
        pace: how long polling clients should wait.
        bound: how many syncs may read at once; those that wait do not count.
        deadline_s: how long one read may take.
        reset_given: called with the reason for each snapshot given.
        content_unknown: called with each channel whose content digest is not known.
    """

    def __init__(
        self,
        pool: Pool,
        tail: Tail,
        tickets: TicketKeys,
        stream_url: Callable[[Iterable[Channel]], str | None],
        ticket_ttl_s: float,
        pace: Pace,
        bound: Bound,
        deadline_s: float,
        reset_given: Callable[[ResetReason], None],
        content_unknown: Callable[[Channel], None],
    ) -> None:
        self._tail = tail
        self._tickets = tickets
        self._stream_url = stream_url
        self._ticket_ttl_s = ticket_ttl_s
        self._pace = pace
        self._bound = bound
        self._deadline_s = deadline_s
        self._reset_given = reset_given
        self._content_unknown = content_unknown
        self._pages: Gatherer[PageQuery, Moment, Page] = Gatherer(
            lambda queries: read_pages(pool, queries), _PAGES_PER_QUERY, abandons=True
        )
        self._snapshots: Gatherer[SnapshotQuery, Moment, OpenOrders] = Gatherer(
            lambda queries: read_snapshots(pool, queries), _SNAPSHOTS_PER_QUERY, abandons=True
        )

    async def answer(self, caller: Caller, request: SyncRequest) -> Answered:
        """The answer.

        Raises:
            ForbiddenError: the caller may not follow one of the channels.
            OverloadedError: too many requests wait already.
            UnavailableError: the database does not answer.
        """
        for channel in request.after:
            check_sync(caller, channel)
        moment, channels = await self._read_soon(request)
        if request.wait_s and not is_news(channels):
            known = {str(channel): seq or 0 for channel, seq in request.after.items()}
            await self._tail.wait(known, request.wait_s)
            # Also where nothing came: the ticket counts from the read, and its time would be
            # gone, or nearly, by a wait.
            moment, channels = await self._read_soon(request)
        pace = self._pace.after_ms(self._bound.share)
        body = encode_answer(moment, channels, self._grant(caller, moment, channels), pace)
        return Answered(body, moment.epoch, channels)

    async def _read_soon(self, request: SyncRequest) -> tuple[Moment, list[ChannelAnswer]]:
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        self._bound.enter()
        # Seen at both ends, so that load counts whose requests come to nothing.
        self._pace.see(self._bound.share)
        try:
            if request.page is not None:
                return await self._read_page(request, request.page, deadline)
            return await self._read(request, deadline)
        except TimeoutError:
            raise UnavailableError(f"no answer within {self._deadline_s:g} s") from None
        finally:
            self._bound.leave()
            self._pace.see(self._bound.share)

    async def _read(
        self, request: SyncRequest, deadline: float
    ) -> tuple[Moment, list[ChannelAnswer]]:
        while True:
            moment, pages = await self._pages.ask(request.queries(), deadline)
            resets: dict[Channel, ResetReason] = {}
            answers: list[ChannelAnswer] = []
            for (channel, after), page in zip(request.after.items(), pages, strict=True):
                if page.content is None:
                    self._content_unknown(channel)
                reason = reset_reason(after, request.epoch, moment, page)
                if reason is None:
                    answers.append(page_of(str(channel), after or 0, page))
                else:
                    resets[channel] = reason
            if not resets:
                return moment, answers
            # The snapshots are read later than the pages. The answer keeps the earlier moment: a
            # ticket issued earlier asks the event server to cover more, never less. Only a new
            # epoch in between would mix two logs; then all is read again.
            later, snapshots = await self._reset(request, resets, deadline)
            if later.epoch == moment.epoch:
                for reason in resets.values():
                    self._reset_given(reason)
                return moment, answers + snapshots

    async def _reset(
        self, request: SyncRequest, resets: Mapping[Channel, ResetReason], deadline: float
    ) -> tuple[Moment, list[ChannelAnswer]]:
        moment, opened = await self._snapshots.ask(
            [request.snapshot_query(channel) for channel in resets], deadline
        )
        return moment, [
            snapshot_of(str(channel), reason, orders, moment.epoch)
            for (channel, reason), orders in zip(resets.items(), opened, strict=True)
        ]

    async def _read_page(
        self, request: SyncRequest, page: SnapshotPage, deadline: float
    ) -> tuple[Moment, list[ChannelAnswer]]:
        first = request.snapshot_query(page.channel)
        query = first._replace(after=page.after, since=page.head)
        moment, (opened,) = await self._snapshots.ask([query], deadline)
        reason = void_reason(page, moment, opened)
        if reason is None:
            return moment, [next_page_of(page, opened)]
        self._reset_given(reason)
        return await self._reset(request, {page.channel: reason}, deadline)

    def _grant(
        self, caller: Caller, moment: Moment, channels: list[ChannelAnswer]
    ) -> StreamGrant | None:
        if has_more(channels):
            return None
        url = self._stream_url(parse_channel(answer.wire.channel) for answer in channels)
        if url is None:
            return None
        ticket = Ticket(
            epoch=moment.epoch,
            cursor=cursor_of(channels),
            issued_at=moment.unix_s,
            expires_at=moment.unix_s + self._ticket_ttl_s,
            subject=caller.subject,
        )
        return StreamGrant(url, self._tickets.sign(ticket), self._ticket_ttl_s)
