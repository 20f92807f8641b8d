"""The statement that reads the documents of channels. One page holds all documents of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from client_sdk.contract.channel import carries_documents
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.unreadable_rows import unreadable_rows
from core_api.sync.queries import Moment, OpenOrders, SnapshotQuery
from core_api.sync.reading import opened_of, read_snapshots

# A range of documents' primary key, with the head of the same snapshot. If there is no room for all
# documents, none is returned. The length of a large value is known without reading it.
_DOCUMENTS: Final = """
SELECT (SELECT epoch FROM epoch), extract(epoch FROM now())::float8, h.head, h.digest, h.floor,
       CASE WHEN d.bytes < q.room THEN d.keys END, CASE WHEN d.bytes < q.room THEN d.views END,
       d.found,
       CASE WHEN q.since IS NOT NULL THEN ARRAY(
           SELECT DISTINCT c.document_key FROM channel_log c
           WHERE c.channel = q.channel AND c.seq > q.since
       ) END,
       h.content
FROM unnest($1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS q(channel, since, room, place)
     LEFT JOIN LATERAL (
         SELECT head, digest, floor,
                CASE WHEN content_head = head THEN content_digest END AS content
         FROM channel_heads WHERE channel = q.channel LIMIT 1
     ) AS h ON true
     LEFT JOIN LATERAL (
         SELECT array_agg(s.key ORDER BY s.key) AS keys, array_agg(s.view ORDER BY s.key) AS views,
                count(*) AS found, coalesce(sum(octet_length(s.view)), 0) AS bytes
         FROM (
             SELECT key, facts || CASE WHEN octet_length(value) <= $4
                                       THEN ',"value":' || value ELSE '' END || '}' AS view
             FROM documents WHERE channel = q.channel AND value IS NOT NULL
         ) AS s
     ) AS d ON true
ORDER BY q.place
"""


async def read_all_snapshots(
    pool: Pool, queries: Sequence[SnapshotQuery]
) -> tuple[Moment, list[OpenOrders]]:
    """The open orders, or the documents, of many channels, in the order asked.

    Raises:
        UnavailableError: Postgres does not answer, or a new epoch began between two reads.
        UnreadableRowError: it cannot read one of the rows.
    """
    of_documents = [carries_documents(query.channel) for query in queries]
    if not any(of_documents):
        return await read_snapshots(pool, queries)
    moment, documents = await read_documents(
        pool, [q for q, is_one in zip(queries, of_documents, strict=True) if is_one]
    )
    if all(of_documents):
        return moment, documents
    later, orders = await read_snapshots(
        pool, [q for q, is_one in zip(queries, of_documents, strict=True) if not is_one]
    )
    if later.epoch != moment.epoch:
        raise UnavailableError("a new epoch began while snapshots were read")
    # The earlier moment: a ticket of an earlier time makes the event server cover more events.
    given, taken = iter(documents), iter(orders)
    return moment, [next(given) if is_one else next(taken) for is_one in of_documents]


async def read_documents(
    pool: Pool, queries: Sequence[SnapshotQuery], most_shown: int = MAX_SHOWN_VALUE_BYTES
) -> tuple[Moment, list[OpenOrders]]:
    """The documents of many channels, in the order asked.

    Args:
        pool: the database.
        queries: the channels.
        most_shown: a value of more bytes is left out, and not even read: its client fetches it.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: it cannot read one of the documents.
    """
    with mapped_errors(), unreadable_rows():
        rows = await pool.fetch(
            _DOCUMENTS,
            [query.channel for query in queries],
            [query.since for query in queries],
            [query.room for query in queries],
            most_shown,
        )
    return Moment(rows[0][0], rows[0][1]), [opened_of(row) for row in rows]
