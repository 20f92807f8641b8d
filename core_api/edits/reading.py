"""Reads what settling needs: documents, clients, earlier answers, kept versions. Takes no lock.

The writing statement checks under its locks that the documents and the clients are still as they
were read here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import asyncpg
import msgspec
from msgspec import UNSET

from client_sdk.contract.errors import StateError
from client_sdk.contract.json_decoding import decode_any
from client_sdk.contract.state.patch import apply_patch
from client_sdk.contract.state.pointer import MISSING
from core_api.documents.kept_versions import Head, History, Kept, is_end
from core_api.edits.what_was_read import DocumentName, KeptAnswer, KnownClient, KnownState, Room
from core_api.parties.guest_token_end import PARTY
from core_api.postgres.pool import mapped_errors
from core_api.postgres.unreadable_rows import by_halves, unreadable, unreadable_rows
from server_common.limits import SETTLING_BYTES, SETTLING_VERSIONS, SUBJECT_CLIENTS

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_MAX_AT_A_STRETCH: Final = 256 * 1024

T = TypeVar("T")

# One probe of a primary key for each name. The three kinds of rows share one round trip.
_STATE: Final = """
SELECT 0 AS kind, q.place, now() AS at, d.value AS text, d.version::bigint AS number, d.schema,
       d.made_at, NULL::bigint AS more
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q(channel, key, place)
     JOIN LATERAL (
         SELECT value, version, schema, made_at FROM documents
         WHERE channel = q.channel AND key = q.key OFFSET 0
     ) AS d ON true
UNION ALL
SELECT 1, q.place, now(), c.subject, c.settled, NULL, NULL, NULL
FROM unnest($3::text[]) WITH ORDINALITY AS q(client, place)
     JOIN LATERAL (
         SELECT subject, settled FROM edit_clients WHERE client = q.client OFFSET 0
     ) AS c ON true
UNION ALL
SELECT 2, q.place, now(), NULL, h.open_orders, NULL, NULL, h.open_bytes
FROM unnest($4::text[]) WITH ORDINALITY AS q(channel, place)
     JOIN LATERAL (
         SELECT open_orders, open_bytes FROM channel_heads WHERE channel = q.channel OFFSET 0
     ) AS h ON true
UNION ALL
SELECT 3, 0, now(), (SELECT epoch FROM epoch), NULL, NULL, NULL, NULL
"""

_ANSWERS: Final = """
SELECT o.client, o.n, o.request_hash, o.outcome, o.result
FROM unnest($1::text[], $2::bigint[]) AS q(client, n)
     JOIN edit_outcomes o ON o.client = q.client AND o.n = q.n
"""

# Backwards from the newest: all above the base, and from the base back to a version that is stored
# with its whole value.
_HISTORY: Final = """
SELECT q.place, v.version, v.made_at, v.diff, v.schema, v.value
FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY AS q(channel, key, base, place),
     LATERAL (
         SELECT h.version, h.made_at, h.diff, h.schema, h.value,
                sum(octet_length(h.diff) + coalesce(octet_length(h.value), 0))
                    OVER (ORDER BY h.version DESC ROWS UNBOUNDED PRECEDING) AS bytes
         FROM (
             SELECT * FROM document_history
             WHERE channel = q.channel AND key = q.key AND took_effect AND version >= coalesce((
                 SELECT max(version) FROM document_history
                 WHERE channel = q.channel AND key = q.key AND took_effect
                   AND version <= greatest(q.base, 1) AND value IS NOT NULL
             ), q.base)
             ORDER BY version DESC LIMIT $4
         ) AS h
     ) AS v
WHERE v.bytes <= $5
ORDER BY q.place, v.version
"""


# Of each subject as many entries of an index are counted as it may have clients. All guests of a
# table may be one subject: only those seen lately, and since the last party left, count, so that
# nobody can lock out later guests.
_FULL: Final = """
SELECT q.subject FROM unnest($1::text[], $2::text[]) AS q(subject, party), LATERAL (
    SELECT count(*) AS clients FROM (
        (SELECT FROM edit_clients WHERE q.party IS NULL AND subject = q.subject LIMIT $3)
        UNION ALL
        (SELECT FROM edit_clients
         WHERE q.party IS NOT NULL AND subject = q.subject
           AND seen_at > now() - make_interval(secs => $4)
           AND seen_at >= coalesce((
               SELECT updated_at FROM documents
               WHERE channel = q.party AND key = $5 AND version > 0
           ), '-infinity')
         LIMIT $3)
    ) AS counted
) AS c WHERE c.clients >= $3
"""
_GUESTS_COUNTED_S: Final = 3600.0


class Connection(Protocol):
    """A pool, or a connection with a transaction."""

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Run a query; its rows."""


class Savepoint:
    """A connection whose transaction and locks survive a failed query.

    Another connection is no solution: the holder of the pool's last one would wait for itself.
    """

    def __init__(self, connection: PoolConnectionProxy[asyncpg.Record]) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Run a query; its rows."""
        async with self._connection.transaction():
            return await self._connection.fetch(query, *args)


async def read_state(
    connection: Connection, names: Sequence[DocumentName], clients: Sequence[str]
) -> KnownState:
    """The documents and the clients as they are.

    Args:
        connection: a connection or a pool; nothing is locked.
        names: which documents; how full their channels are is read, too.
        clients: the ids of clients of edits.

    Returns:
        What there is of them; those without a row are left out.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    channels = sorted({channel for channel, _ in names})
    with mapped_errors():
        rows = await connection.fetch(
            _STATE, [name[0] for name in names], [name[1] for name in names], clients, channels
        )
    return await decoded(
        lambda: _state_of(rows, names, clients, channels),
        sum(len(row[3]) for row in rows if row[0] == 0 and row[3] is not None),
    )


async def full_subjects(
    connection: Connection, subjects: Iterable[tuple[str, str | None]]
) -> frozenset[str]:
    """The subjects among these that have reached the limit of clients of edits.

    Args:
        connection: a connection to Postgres, or a pool.
        subjects: each with the channel of its party, if it is a guest's.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        asked = list(set(subjects))
        rows = await connection.fetch(
            _FULL,
            [s[0] for s in asked],
            [s[1] for s in asked],
            SUBJECT_CLIENTS,
            _GUESTS_COUNTED_S,
            PARTY,
        )
    return frozenset(row[0] for row in rows)


def _state_of(
    rows: Sequence[asyncpg.Record],
    names: Sequence[DocumentName],
    clients: Sequence[str],
    channels: Sequence[str],
) -> KnownState:
    heads: dict[DocumentName, Head] = {}
    sizes: dict[DocumentName, int] = {}
    known: dict[str, KnownClient] = {}
    rooms: dict[str, Room] = {}
    epoch = ""
    for kind, number_of, _, text, number, schema, made_at, more in rows:
        if kind == 0:
            name = names[number_of - 1]
            value = None if text is None else decode_any(text)
            heads[name] = Head(number, value, schema, made_at if number else None)
            sizes[name] = 0 if text is None else len(text)
        elif kind == 1:
            known[clients[number_of - 1]] = KnownClient(text, number)
        elif kind == 2:
            rooms[channels[number_of - 1]] = Room(number, more)
        else:
            epoch = text
    return KnownState(rows[0][2], heads, known, rooms, epoch, sizes)


async def unreadable_documents(
    connection: Connection, names: Sequence[DocumentName]
) -> frozenset[DocumentName]:
    """The documents among these that Postgres cannot read, or whose value is not JSON.

    Raises:
        UnavailableError: Postgres does not answer.
    """

    async def read(asked: Sequence[DocumentName]) -> list[None]:
        with unreadable_rows():
            try:
                await read_state(connection, asked, [])
            except (msgspec.DecodeError, RecursionError) as error:
                raise unreadable(f"the stored value is not JSON: {error}") from error
        return [None] * len(asked)

    found = await by_halves(read, names) if names else []
    return frozenset(name for name, one in zip(names, found, strict=True) if one is not None)


async def readable_histories(
    connection: Connection, bases: Mapping[DocumentName, int]
) -> dict[DocumentName, History]:
    """As `read_histories`, without those that Postgres cannot read: they count as trimmed away.

    Raises:
        UnavailableError: Postgres does not answer.
    """

    async def read(asked: Sequence[DocumentName]) -> list[History | None]:
        with unreadable_rows():
            try:
                found = await read_histories(connection, {one: bases[one] for one in asked})
            except (msgspec.DecodeError, RecursionError, StateError) as error:
                raise unreadable(f"the stored value is not a history: {error}") from error
        return [found.get(name) for name in asked]

    kept = zip(bases, await by_halves(read, list(bases)), strict=True)
    return {name: one for name, one in kept if isinstance(one, History)}


async def decoded(decode: Callable[[], T], size: int) -> T:
    """The result of `decode`; large values are decoded in a thread, to keep the event loop free.

    Args:
        decode: makes something of what was read.
        size: about how many bytes that is.
    """
    return decode() if size <= _MAX_AT_A_STRETCH else await asyncio.to_thread(decode)


async def read_epoch(connection: Connection) -> str:
    """The epoch of the log.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        ((epoch,),) = await connection.fetch("SELECT epoch FROM epoch")
    return str(epoch)


async def read_answers(
    connection: Connection, edits: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], KeptAnswer]:
    """The kept answers of these edits, by client and number.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await connection.fetch(_ANSWERS, [e[0] for e in edits], [e[1] for e in edits])
    return {(row[0], row[1]): KeptAnswer(row[2], row[3], row[4]) for row in rows}


async def read_histories(
    connection: Connection, bases: Mapping[DocumentName, int]
) -> dict[DocumentName, History]:
    """What is kept of these documents from the given version on, with each version's value.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    names = list(bases)
    with mapped_errors():
        rows = await connection.fetch(
            _HISTORY,
            [name[0] for name in names],
            [name[1] for name in names],
            list(bases.values()),
            SETTLING_VERSIONS,
            SETTLING_BYTES,
        )
    size = sum(len(row[3]) + len(row[5] or "") for row in rows)
    return await decoded(lambda: _histories_of(rows, names), size)


def _histories_of(
    rows: Sequence[asyncpg.Record], names: Sequence[DocumentName]
) -> dict[DocumentName, History]:
    kept: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        kept.setdefault(row[0], []).append(tuple(row)[1:])
    return {names[place - 1]: History(_with_values(versions)) for place, versions in kept.items()}


def _with_values(rows: Iterable[tuple[Any, ...]]) -> Iterable[Kept]:
    """The versions in order; each value follows from the one before it by its diff."""
    value: Any = UNSET
    for version, made_at, diff_text, schema, value_text in rows:
        diff = decode_any(diff_text)
        if value_text is not None:
            value = decode_any(value_text)
        elif is_end(diff):
            value = MISSING
        elif value is not UNSET or any(step["path"] == "" for step in diff):
            value = apply_patch(MISSING if value is UNSET else value, diff)
        yield Kept(version, made_at, diff, schema, None if value is MISSING else value)
