"""Pages of the log from a standby, where they are as good as the primary's.

They are if the client's cursor is covered, and the standby's data are no older than a poll may be.
All other pages, and every snapshot, are read from the primary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.query_batching import QueryBatcher
from core_api.sync.events_or_reset import is_short, reset_reason
from core_api.sync.queries import Moment, Page, PageQuery
from core_api.sync.reading import read_replicated_pages
from core_api.sync.request import SyncRequest

STALE_AFTER_S: Final = 3.0
"""How far a standby may be behind the primary, in seconds: as long as a polling client waits. Its
clock may be ahead of the primary's, as estimated here, by no more."""
_CLOCK_GOOD_FOR_S: Final = 30.0
"""How long an estimate of the primary's clock is used, in seconds."""
_ANSWERS_WITHIN_S: Final = 0.5
_RESTS_S: Final = 5.0
_PAGES_PER_QUERY: Final = 1000


class StandbyReplica:
    """Reads pages from a standby.

    Args:
        pool: its connections.
        clock: seconds that only go forward.
        count: called with the outcome of each request: answered by the `replica`, which was
            `stale`, or `failed`.
    """

    def __init__(
        self, pool: Pool, clock: Callable[[], float], count: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._count = count
        self._pages: QueryBatcher[PageQuery, Moment, Page] = QueryBatcher(
            lambda queries: read_replicated_pages(pool, queries),
            _PAGES_PER_QUERY,
            abandons=True,
            isolates=True,
        )
        self._primary_was: tuple[float, float] | None = None
        self._rest_until = 0.0

    def saw_primary(self, unix_s: float) -> None:
        """Note the time by the primary's clock: a sync has just read it."""
        self._primary_was = unix_s, self._clock()

    async def pages(self, request: SyncRequest) -> tuple[Moment, Sequence[Page]] | None:
        """The pages for a request, and the time before which the standby has all commits.

        Returns:
            None: the primary must be asked.
        """
        now = self._clock()
        if self._primary_was is None or now < self._rest_until:
            return None
        unix_s, at = self._primary_was
        if now - at > _CLOCK_GOOD_FOR_S or None in request.after.values():
            return None
        asked = request.queries()
        try:
            deadline = asyncio.get_running_loop().time() + _ANSWERS_WITHIN_S
            moment, pages = await self._pages.ask(asked, deadline)
        except UnreadableRowError:
            self._count("failed")
            return None
        except (UnavailableError, TimeoutError):
            self._rest_until = self._clock() + _RESTS_S
            self._count("failed")
            return None
        # A witness in the future is from before the primary's clock was set back: a ticket of that
        # time would cover events that were not read.
        is_fresh = abs(moment.unix_s - unix_s - (now - at)) <= STALE_AFTER_S
        if not is_fresh or not is_covered(request, asked, moment, pages):
            self._count("stale")
            return None
        self._count("replica")
        return moment, pages


def is_covered(
    request: SyncRequest, asked: Sequence[PageQuery], moment: Moment, pages: Sequence[Page]
) -> bool:
    """Whether each cursor can go on from what a standby has, in one page.

    Args:
        request: with a cursor for each channel.
        asked: its queries.
        moment: of the standby's answer.
        pages: that answer.
    """
    return request.epoch == moment.epoch and not any(
        reset_reason(query.after, request.epoch, moment, page) is not None or is_short(query, page)
        for query, page in zip(asked, pages, strict=True)
    )
