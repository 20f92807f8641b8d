"""Reads snapshots of channels: with a shared read, or separately if they are large."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from core_api.errors import BadRequestError, UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool
from core_api.postgres.query_batching import QueryBatcher
from core_api.sync.damaged_rows import Unreadable, snapshots_apart
from core_api.sync.document_reading import read_all_snapshots
from core_api.sync.events_or_reset import fitting_snapshots, is_snapshot_short, joined, last_of
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.queries import Moment, OpenOrders, SnapshotQuery
from server_common.limits import ANSWER_BYTES, WHOLE_ANSWER_BYTES

_SNAPSHOTS_PER_QUERY: Final = 50


class SnapshotReader:
    """Reads snapshots.

    Args:
        pool: the database.
        large: gives turns to snapshots that do not fit a shared read.
        unreadable: called with each channel that has an unreadable row, and with the kind of row.
    """

    def __init__(
        self, pool: Pool, large: LargeAnswers, unreadable: Callable[[str, Unreadable], None]
    ) -> None:
        self._pool = pool
        self._large = large
        self._unreadable = unreadable
        self._reads: QueryBatcher[SnapshotQuery, Moment, OpenOrders] = QueryBatcher(
            lambda queries: read_all_snapshots(pool, queries),
            _SNAPSHOTS_PER_QUERY,
            abandons=True,
            isolates=True,
        )

    async def read(
        self, subject: str, queries: Sequence[SnapshotQuery], whole: bool, deadline: float
    ) -> tuple[Moment, Sequence[OpenOrders | None]]:
        """One snapshot for each query; None for a channel that Postgres cannot read.

        Args:
            subject: whose share of large answers it takes from.
            queries: what is asked for.
            whole: whether each must be whole, for a client that does not support pages.
            deadline: the latest time for the result, by the event loop's clock.

        Raises:
            BadRequestError: a whole one is too large.
            RateLimitedError: there is no turn for a large answer.
            TimeoutError: the deadline is over.
            UnavailableError: the database does not answer, or the log was cut meanwhile.
            UnreadableRowError: it can read none of the channels.
        """

        async def open_one(query: SnapshotQuery) -> tuple[Moment, OpenOrders]:
            moment, (opened,) = await self._together(subject, [query], whole, deadline)
            return moment, opened

        try:
            return await self._together(subject, queries, whole, deadline)
        except UnreadableRowError:
            return await snapshots_apart(self._pool, queries, open_one, self._unreadable)

    async def _together(
        self, subject: str, queries: Sequence[SnapshotQuery], whole: bool, deadline: float
    ) -> tuple[Moment, list[OpenOrders]]:
        """Snapshots, from a shared read; large ones are read separately."""
        moment, opened = await self._reads.ask(queries, deadline)
        if not any(
            orders.cut if whole else is_snapshot_short(query, orders)
            for query, orders in zip(queries, opened, strict=True)
        ):
            return moment, opened if whole else fitting_snapshots(opened, ANSWER_BYTES)
        room = max(1, ANSWER_BYTES // len(queries))
        larger = [query._replace(room=room) for query in queries]
        async with asyncio.timeout_at(deadline), self._large.turn(subject):
            moment, opened = await read_all_snapshots(self._pool, larger)
            self._large.spent(subject, sum(orders.size for orders in opened))
            if not whole:
                return moment, fitting_snapshots(opened, ANSWER_BYTES)
            return moment, await self._completed(subject, moment, larger, opened)

    async def _completed(
        self,
        subject: str,
        moment: Moment,
        queries: Sequence[SnapshotQuery],
        begun: Sequence[OpenOrders],
    ) -> list[OpenOrders]:
        """Whole snapshots for a client that does not support pages: the pages, joined here."""
        done: list[OpenOrders] = []
        size = sum(orders.size for orders in begun)
        for query, first in zip(queries, begun, strict=True):
            opened = first
            while opened.cut:
                further = query._replace(after=last_of(opened), since=first.head, room=ANSWER_BYTES)
                later, (more,) = await read_all_snapshots(self._pool, [further])
                self._large.spent(subject, more.size)
                size += more.size
                if size > WHOLE_ANSWER_BYTES:
                    raise BadRequestError(
                        f"the snapshot has more than {WHOLE_ANSWER_BYTES} bytes: "
                        "ask for it in pages, with the parameter orders",
                        "too-large",
                    )
                if later.epoch != moment.epoch or more.floor > first.head:
                    raise UnavailableError("the log was cut while a snapshot was read")
                opened = joined(opened, more)
            done.append(opened)
        return done
