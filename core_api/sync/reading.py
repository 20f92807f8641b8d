"""The reading statements of Fetch Sync: each answers many requests at once, and takes no lock.

A statement sees one snapshot. Its heads, digests, floors and rows of the log therefore fit
together, and every seq up to a head that it saw can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from asyncpg import BitString

from client_sdk.contract.digest import EMPTY
from core_api.postgres.pool import Pool, any_error_mapped, mapped_errors
from core_api.postgres.unreadable_rows import by_halves, unreadable_rows
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery, SnapshotQuery


class Row(Protocol):
    """A row of a result, of any library."""

    def __getitem__(self, place: int, /) -> Any: ...


# One probe of channel_heads' primary key per channel (the LIMIT keeps the planner from turning the
# probes into a scan of all heads once many channels are asked for). The log is probed only where
# there is something after the cursor: the condition on the head stands inside the lateral query,
# where the planner checks it before it opens the index. A page ends where its room does: the length
# of a large body is known without reading it. now() is taken before the snapshot, so all that
# committed before it is seen.
PAGES: Final = """
SELECT (SELECT epoch FROM epoch), extract(epoch FROM now())::float8,
       h.head, h.digest, h.floor, l.seqs, l.bodies, h.content
FROM unnest($1::text[], $2::bigint[], $3::int[], $4::int[])
         WITH ORDINALITY AS q(channel, after, lim, room, place)
     LEFT JOIN LATERAL (
         SELECT head, digest, floor,
                CASE WHEN content_head = head THEN content_digest END AS content
         FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON true
     LEFT JOIN LATERAL (
         SELECT array_agg(p.seq) AS seqs, array_agg(p.body) AS bodies FROM (
             SELECT b.seq, b.body, sum(octet_length(b.body)) OVER (
                        ORDER BY b.seq ROWS UNBOUNDED PRECEDING) - octet_length(b.body) AS before
             FROM (
                 SELECT c.seq, c.body FROM channel_log c
                 WHERE c.channel = q.channel AND c.seq > q.after
                   AND q.after < h.head AND q.after >= h.floor
                 ORDER BY c.seq LIMIT q.lim
             ) AS b
         ) AS p WHERE p.before < q.room
     ) AS l ON q.after < h.head
ORDER BY q.place
"""

# A standby's own time does not show how far it has replicated. The witness was committed on the
# primary after the time that it has: so all commits before that time are here, too.
_REPLICATED_PAGES: Final = PAGES.replace(
    "extract(epoch FROM now())::float8",
    "coalesce((SELECT extract(epoch FROM at)::float8 FROM epoch_witness), 0)",
)

# A range of one of the two partial indexes over open orders, in the order of the index, with the
# head of the same snapshot. One order more than asked for is read, to see that there are more.
_SNAPSHOTS: Final = """
SELECT (SELECT epoch FROM epoch), extract(epoch FROM now())::float8, h.head, h.digest, h.floor,
       o.ids, o.views, o.found,
       CASE WHEN q.since IS NOT NULL THEN ARRAY(
           SELECT DISTINCT c.order_id FROM channel_log c
           WHERE c.channel = q.channel AND c.seq > q.since
       ) END,
       h.content
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::uuid[], $6::bigint[], $7::int[])
         WITH ORDINALITY AS q(channel, store_id, table_id, most, after, since, room, place)
     LEFT JOIN LATERAL (
         SELECT head, digest, floor,
                CASE WHEN content_head = head THEN content_digest END AS content
         FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON true
     LEFT JOIN LATERAL (
         SELECT array_agg(s.id) FILTER (WHERE s.fits) AS ids,
                array_agg(s.view) FILTER (WHERE s.fits) AS views, count(*) AS found
         FROM (
             SELECT p.id, p.view, row_number() OVER earlier <= q.most
                        AND sum(octet_length(p.view)) OVER earlier
                            - octet_length(p.view) < q.room AS fits
             FROM (
                 (SELECT o.id, o.owner_view AS view FROM orders o
                  WHERE q.table_id IS NULL AND o.store_id = q.store_id
                    AND o.status NOT IN ('rejected', 'paid', 'cancelled')
                    AND o.id > coalesce(q.after, '00000000-0000-0000-0000-000000000000')
                  ORDER BY o.id LIMIT q.most + 1)
                 UNION ALL
                 (SELECT o.id, o.table_view FROM orders o
                  WHERE o.store_id = q.store_id AND o.table_id = q.table_id
                    AND o.status NOT IN ('rejected', 'paid', 'cancelled')
                    AND o.id > coalesce(q.after, '00000000-0000-0000-0000-000000000000')
                  ORDER BY o.id LIMIT q.most + 1)
             ) AS p WINDOW earlier AS (ORDER BY p.id ROWS UNBOUNDED PRECEDING)
         ) AS s
     ) AS o ON true
ORDER BY q.place
"""

# The heads that have gone past what waiters know: one probe per channel.
_MOVED: Final = """
SELECT q.channel FROM unnest($1::text[], $2::bigint[]) AS q(channel, after)
     JOIN LATERAL (
         SELECT head FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON h.head > q.after
"""


async def read_pages(pool: Pool, queries: Sequence[PageQuery]) -> tuple[Moment, list[Page]]:
    """The pages of many channels, in the order asked; a channel without events has head 0.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: it cannot read one of the events.
    """
    with mapped_errors(), unreadable_rows():
        rows = await pool.fetch(PAGES, *zip(*queries, strict=True))
    return pages_of(rows)


async def read_replicated_pages(
    replica: Pool, queries: Sequence[PageQuery]
) -> tuple[Moment, list[Page]]:
    """`read_pages` of a standby, which has all commits before the moment that is returned.

    Raises:
        UnavailableError, UnreadableRowError: as `read_pages`.
    """
    # Whatever the standby's error, the primary may succeed.
    with any_error_mapped(), unreadable_rows():
        rows = await replica.fetch(_REPLICATED_PAGES, *zip(*queries, strict=True))
    return pages_of(rows)


def pages_of(rows: Sequence[Row]) -> tuple[Moment, list[Page]]:
    """The pages in the rows that `PAGES` returns."""
    pages = [
        Page(
            row[2] or 0,
            _unsigned(row[3] or 0),
            row[4] or 0,
            tuple(zip(row[5], row[6], strict=True)) if row[5] else (),
            _content(row, 7),
        )
        for row in rows
    ]
    return Moment(rows[0][0], rows[0][1]), pages


async def read_snapshots(
    pool: Pool, queries: Sequence[SnapshotQuery]
) -> tuple[Moment, list[OpenOrders]]:
    """The open orders of many channels, in the order asked.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: it cannot read one of the orders.
    """
    with mapped_errors(), unreadable_rows():
        rows = await pool.fetch(_SNAPSHOTS, *zip(*queries, strict=True))
    return Moment(rows[0][0], rows[0][1]), [opened_of(row) for row in rows]


def opened_of(row: Row) -> OpenOrders:
    """The snapshot in a row of its statement; it is cut if it has less than was found."""
    ids, views = row[5] or [], row[6] or []
    return OpenOrders(
        row[2] or 0,
        _unsigned(row[3] or 0),
        views,
        row[4] or 0,
        ids,
        frozenset(row[8] or ()),
        row[7] > len(ids),
        _content(row, 9),
    )


async def read_moved(pool: Pool, known: dict[str, int]) -> list[str]:
    """The channels whose head is beyond the seq given for each, without those whose row is
    unreadable.

    Raises:
        UnavailableError: Postgres does not answer.
    """

    async def read(asked: Sequence[tuple[str, int]]) -> list[bool]:
        with mapped_errors(), unreadable_rows():
            rows = await pool.fetch(_MOVED, *zip(*asked, strict=True))
        found = {row[0] for row in rows}
        return [channel in found for channel, _ in asked]

    moved = await by_halves(read, list(known.items()))
    return [channel for channel, is_moved in zip(known, moved, strict=True) if is_moved is True]


def _content(row: Row, place: int) -> int | None:
    bits: BitString | None = row[place]
    if bits is None:
        # A channel without a head has no order.
        return EMPTY if row[2] is None else None
    return int.from_bytes(bits.bytes, "big")


def _unsigned(digest: int) -> int:
    return digest & 0xFFFFFFFFFFFFFFFF
