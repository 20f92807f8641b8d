"""Fetch Syncs that go on from their cursors, answered without a task, a future or a timer for each.

Requests of one turn of the event loop share a read (`QueryBatcher`), and their answers are written
in one turn, too. A request that needs more than that read, such as a snapshot, is not answered
here: its caller must use `FetchSync.answer`. That may refuse it under load: its slot is released
before, as a client that has gone could not release it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final, NamedTuple, TypeAlias

from core_api.access.reach import check_follow
from core_api.errors import UnavailableError, UnreadableRowError
from core_api.overload import Bound, PollingPace
from core_api.postgres.query_batching import QueryBatcher
from core_api.sync.damaged_rows import is_json
from core_api.sync.events_or_reset import ChannelAnswer, is_short, reset_reason
from core_api.sync.queries import Moment, Page, PageQuery
from core_api.sync.quick.unchanged import beginning_of, encode_unchanged, is_unchanged
from core_api.sync.request import AskedSync, SyncRequest
from core_api.sync.stream_grants import StreamGrants
from server_common.logs import get_logger

log = get_logger()

_AT_ONCE: Final = 64
"""How many answers are written before the event loop runs other tasks."""


class QuickAnswer(NamedTuple):
    """An answer, and the heads of its channels as they were read."""

    body: bytes
    epoch: str
    heads: dict[str, int]


QuickOutcome: TypeAlias = QuickAnswer | Exception | None
"""The answer; or the error; or None: `FetchSync.answer` must be called."""

Encode: TypeAlias = Callable[[AskedSync, Moment, list[ChannelAnswer]], bytes]


def is_for_quick_reads(request: SyncRequest) -> bool:
    """Whether all that the request asks for can be answered from one read."""
    return not request.wait_s and request.page is None and None not in request.after.values()


class _Asking:
    """One request that waits."""

    __slots__ = (
        "_reads", "asked", "deadline", "is_done", "moment", "pages", "queries", "tell", "trouble",
    )  # fmt: skip

    moment: Moment
    pages: Sequence[Page]
    deadline: float

    def __init__(
        self, reads: QuickReads, asked: AskedSync, tell: Callable[[QuickOutcome], None]
    ) -> None:
        self._reads = reads
        self.asked = asked
        self.queries = asked.request.queries()
        self.tell = tell
        self.trouble: Exception | None = None
        self.is_done = False

    def done(self) -> bool:
        return self.is_done

    def set_result(self, result: tuple[Moment, Sequence[Page]], /) -> None:
        self.moment, self.pages = result
        self.is_done = True
        self._reads.settled(self)

    def set_exception(self, exception: Exception, /) -> None:
        self.trouble = exception
        self.is_done = True
        self._reads.settled(self)


class QuickReads:
    """Answers what `is_for_quick_reads`.

    Args:
        pages: gathers the reads.
        grants: gives the tickets of streams.
        pace: how long polling clients should wait.
        bound: how many syncs may read at once.
        deadline_s: how long one read may take.
        answered: the channels' answers of pages that go on from the cursors.
        encode: the body of an answer.
    """

    def __init__(
        self,
        pages: QueryBatcher[PageQuery, Moment, Page],
        grants: StreamGrants,
        pace: PollingPace,
        bound: Bound,
        deadline_s: float,
        answered: Callable[[SyncRequest, Sequence[Page]], list[ChannelAnswer]],
        encode: Encode,
    ) -> None:
        self._pages = pages
        self._grants = grants
        self._pace = pace
        self._bound = bound
        self._deadline_s = deadline_s
        self._answered = answered
        self._encode = encode
        self._settled: deque[_Asking] = deque()
        # All have the same time-out, so the first ones are due first.
        self._waiting: deque[_Asking] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, asked: AskedSync, tell: Callable[[QuickOutcome], None]) -> None:
        """Begin to answer a request; `tell` is called later, exactly once, with the outcome.

        Raises:
            ForbiddenError: the caller may not follow one of the channels.
            OverloadedError: too many requests wait already.
        """
        for channel in asked.request.after:
            check_follow(asked.caller, channel)
        self._bound.enter()
        self._pace.see(self._bound.share)
        asking = _Asking(self, asked, tell)
        loop = asyncio.get_running_loop()
        asking.deadline = loop.time() + self._deadline_s
        self._waiting.append(asking)
        if self._timer is None:
            self._timer = loop.call_at(asking.deadline, self._expire, loop)
        self._pages.put(asking.queries, asking)

    def settled(self, asking: _Asking) -> None:
        """The read has ended; its batcher first sends the next query for those that wait."""
        self._settled.append(asking)
        if len(self._settled) == 1:
            self._tell_soon()

    def _tell_soon(self) -> None:
        # In an empty context: the read's is that of the first request, with its trace id.
        asyncio.get_running_loop().call_soon(self._tell, context=Context())

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        waiting, now = self._waiting, loop.time()
        while waiting and (waiting[0].is_done or waiting[0].deadline <= now):
            asking = waiting.popleft()
            if not asking.is_done:
                asking.set_exception(TimeoutError())
        if waiting:
            self._timer = loop.call_at(waiting[0].deadline, self._expire, loop)
        self._pages.forsake()

    def _tell(self) -> None:
        # No object of a storm may stay, or the memory around it could not be returned.
        waiting = self._waiting
        while waiting and waiting[0].is_done:
            waiting.popleft()
        settled, moment, beginning = self._settled, None, b""
        some = [settled.popleft() for _ in range(min(len(settled), _AT_ONCE))]
        if settled:
            self._tell_soon()
        for _ in some:
            self._bound.leave()
        after_ms = self._pace.after_ms(self._bound.share)
        for asking in some:
            outcome: QuickOutcome
            try:
                if asking.trouble is None and asking.moment is not moment:
                    beginning = beginning_of(asking.moment)
                    moment = asking.moment
                outcome = self._outcome_of(asking, beginning, after_ms)
            except Exception as error:
                outcome = error
            try:
                asking.tell(outcome)
            except Exception:
                log.exception("sync_cannot_be_answered")  # the others still are

    def _outcome_of(self, asking: _Asking, beginning: bytes, after_ms: int) -> QuickOutcome:
        if asking.trouble is not None:
            return self._of_trouble(asking.trouble)
        (caller, request, device), moment, pages = asking.asked, asking.moment, asking.pages
        if len(pages) == 1:
            [page], [query] = pages, asking.queries
            if is_unchanged(query.after, request.epoch, moment, page):
                name, head = query.channel, page.head
                stream = self._grants.grant_at(caller, device, moment, {name: head}, request.after)
                body = encode_unchanged(beginning, name, page, stream, after_ms)
                return QuickAnswer(body, moment.epoch, {name: head})
        if any(map(is_short, asking.queries, pages)) or any(
            reset_reason(query.after, request.epoch, moment, page) is not None
            for query, page in zip(asking.queries, pages, strict=True)
        ):
            return None
        channels = self._answered(request, pages)
        body = self._encode(asking.asked, moment, channels)
        if not is_json(body):
            return None
        heads = {answer.wire.channel: answer.wire.head for answer in channels}
        return QuickAnswer(body, moment.epoch, heads)

    def _of_trouble(self, error: Exception) -> QuickOutcome:
        if isinstance(error, UnreadableRowError):
            return None  # the other channels are read without the damaged row
        if isinstance(error, TimeoutError):
            return UnavailableError(f"no answer within {self._deadline_s:g} s")
        return error
