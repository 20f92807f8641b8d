"""The reading statements of Fetch Sync: each answers many requests at once, and takes no lock.

A reader sees one snapshot per statement. Heads, digests, floors and the log's rows of one statement
therefore fit together, and a seq at or below a head that was seen is always there to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from core_api.storage.pool import Pool, mapped_errors


class Row(Protocol):
    """A row of an answer, of whatever library."""

    def __getitem__(self, place: int, /) -> Any: ...


class PageQuery(NamedTuple):
    """What one request asks of one channel: at most `limit` events after `after`."""

    channel: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Page:
    """One channel at one moment, and its events after the cursor, as (seq, body)."""

    head: int
    digest: int
    floor: int
    events: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The open orders of one channel as JSON, and the head they are true at."""

    head: int
    digest: int
    orders: Sequence[str]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a statement read, by the database's clock, and in which epoch."""

    epoch: str
    unix_s: float


# One probe of channel_heads' primary key per channel (the LIMIT keeps the planner from turning the
# probes into a scan of all heads once many channels are asked for). The log is probed only where
# there is something after the cursor: the condition on the head stands inside the lateral query,
# where the planner checks it before it opens the index. now() is taken before the snapshot, so all
# that committed before it is seen.
PAGES: Final = """
SELECT (SELECT epoch FROM epoch), extract(epoch FROM now())::float8,
       h.head, h.digest, h.floor, l.seqs, l.bodies
FROM unnest($1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS q(channel, after, lim, place)
     LEFT JOIN LATERAL (
         SELECT head, digest, floor FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON true
     LEFT JOIN LATERAL (
         SELECT array_agg(p.seq) AS seqs, array_agg(p.body) AS bodies FROM (
             SELECT c.seq, c.body FROM channel_log c
             WHERE c.channel = q.channel AND c.seq > q.after
               AND q.after < h.head AND q.after >= h.floor
             ORDER BY c.seq LIMIT q.lim
         ) AS p
     ) AS l ON q.after < h.head
ORDER BY q.place
"""

# A range of one of the two partial indexes over open orders, with the head of the same snapshot.
_SNAPSHOTS: Final = """
SELECT (SELECT epoch FROM epoch), extract(epoch FROM now())::float8, h.head, h.digest,
       CASE WHEN q.table_id IS NULL THEN ARRAY(
           SELECT o.owner_view FROM orders o
           WHERE o.store_id = q.store_id AND o.status NOT IN ('rejected', 'paid', 'cancelled')
           ORDER BY o.created_at, o.id
       ) ELSE ARRAY(
           SELECT o.table_view FROM orders o
           WHERE o.store_id = q.store_id AND o.table_id = q.table_id
             AND o.status NOT IN ('rejected', 'paid', 'cancelled')
           ORDER BY o.created_at, o.id
       ) END
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
         AS q(channel, store_id, table_id, place)
     LEFT JOIN LATERAL (
         SELECT head, digest FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON true
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
    """
    channels, afters, limits = zip(*queries, strict=True)
    with mapped_errors():
        rows = await pool.fetch(PAGES, channels, afters, limits)
    return pages_of(rows)


def pages_of(rows: Sequence[Row]) -> tuple[Moment, list[Page]]:
    """What the rows of `PAGES` say."""
    pages = [
        Page(
            row[2] or 0,
            _unsigned(row[3] or 0),
            row[4] or 0,
            tuple(zip(row[5], row[6], strict=True)) if row[5] else (),
        )
        for row in rows
    ]
    return Moment(rows[0][0], rows[0][1]), pages


async def read_snapshots(
    pool: Pool, channels: Sequence[tuple[str, str, str | None]]
) -> tuple[Moment, list[OpenOrders]]:
    """The open orders of many channels, given as (channel, store id, table id).

    Raises:
        UnavailableError: Postgres does not answer.
    """
    names, stores, tables = zip(*channels, strict=True)
    with mapped_errors():
        rows = await pool.fetch(_SNAPSHOTS, names, stores, tables)
    snapshots = [OpenOrders(row[2] or 0, _unsigned(row[3] or 0), row[4]) for row in rows]
    return Moment(rows[0][0], rows[0][1]), snapshots


async def read_moved(pool: Pool, known: dict[str, int]) -> list[str]:
    """The channels whose head is beyond the seq given for each.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await pool.fetch(_MOVED, list(known), list(known.values()))
    return [row[0] for row in rows]


def _unsigned(digest: int) -> int:
    return digest & 0xFFFFFFFFFFFFFFFF
