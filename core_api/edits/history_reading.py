"""Reads a document at an earlier version, and the entries of its history."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from msgspec import Struct, field

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.json_decoding import decode, decode_any
from client_sdk.contract.state.patch import apply_patch
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.text import ID_PATTERN, shown
from core_api.documents.kept_versions import is_end
from core_api.edits.reading import decoded
from core_api.edits.rows import KEYFRAME_EVERY, HistoryEntry, author_shown
from core_api.errors import BadRequestError
from core_api.parties.guest_token_end import PARTY
from core_api.postgres.pool import Pool, mapped_errors
from server_common.limits import HISTORY_BYTES

_DOCUMENT: Final = (
    "SELECT facts, value FROM documents WHERE channel = $1 AND key = $2 AND version > 0"
)

# From the newest version at or before it whose whole value is kept. Versions older than the present
# party of a table belong to other guests.
_VERSION: Final = """
SELECT h.version, h.diff, h.value, h.schema, h.entry, NOT $4::bool OR h.at >= coalesce((
    SELECT updated_at FROM documents WHERE channel = $1 AND key = $5 AND version > 0
), '-infinity')
FROM document_history h
WHERE h.channel = $1 AND h.key = $2 AND h.took_effect AND h.version <= $3
  AND h.version >= coalesce((
      SELECT max(version) FROM document_history
      WHERE channel = $1 AND key = $2 AND took_effect AND version <= $3 AND value IS NOT NULL
  ), $3)
ORDER BY h.version
"""

# A range of the primary key; the sum keeps an answer within its bytes.
_ENTRIES: Final = """
SELECT entry, diff, version, NOT took_effect, client, n,
       coalesce(bytes_before, 0) + octet_length(entry) + octet_length(diff) <= $8::bigint
           OR place = 1
FROM (
    SELECT *, row_number() OVER earlier AS place,
           sum(octet_length(entry) + octet_length(diff)) OVER (
               earlier ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS bytes_before
    FROM (
        SELECT version, took_effect, client, n, entry, diff FROM document_history
        WHERE channel = $1 AND key = $2 AND version >= $3
          AND (version > $3
               OR (NOT took_effect, client COLLATE "C", n) > ($4::bool, $5::text, $6::bigint))
          AND (NOT $9::bool OR at >= coalesce((
              SELECT updated_at FROM documents WHERE channel = $1 AND key = $10 AND version > 0
          ), '-infinity'))
        ORDER BY version, took_effect DESC, client COLLATE "C", n LIMIT $7
    ) AS found
    WINDOW earlier AS (ORDER BY version, took_effect DESC, client COLLATE "C", n)
) AS entries
ORDER BY place
"""
_AFTER: Final = re.compile(rf"([0-9]{{1,9}})(?:~([01])~((?:{ID_PATTERN})?)~([0-9]{{1,15}}))?")


class HistoryEvent(HistoryEntry, frozen=True, omit_defaults=True):
    """One entry of a document's history."""

    diff: list[dict[str, Any]] = field(default_factory=list)
    """From the version before (RFC 6902); empty: it was put aside."""


class HistoryPage(Struct, frozen=True):
    """The answer of `GET /v1/documents/events`."""

    events: list[HistoryEvent]
    """In the order of the versions; an edit put aside comes after the version that it lost to."""
    next: str | None = None
    """Ask for the page after this one with this as `after`; None: it is the last."""


_entry_decoder: Final = msgspec.json.Decoder(HistoryEvent)


async def read_document(pool: Pool, channel: str, key: str) -> bytes | None:
    """The document as it stands, as JSON with its whole value.

    Args:
        pool: the database.
        channel: the document's channel, as text.
        key: the document's key in that channel.

    Returns:
        The object of `GET /v1/documents`; its `value` is null if the document is deleted. None:
        there never was a document.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        row = await pool.fetchrow(_DOCUMENT, channel, key)
    if row is None:
        return None
    value = "null" if row[1] is None else row[1]
    return f'{row[0]},"value":{value}}}'.encode()


async def read_version(
    pool: Pool, channel: str, key: str, version: int, of_this_party: bool = False
) -> bytes | None:
    """The document as it was at a version, as JSON; None: that version is not kept.

    Args:
        pool: the database.
        channel: the document's channel.
        key: its key.
        version: which version.
        of_this_party: a version from before the party at the table counts as not kept.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await pool.fetch(_VERSION, channel, key, version, of_this_party, PARTY)
    if not rows or rows[-1][0] != version or len(rows) > 2 * KEYFRAME_EVERY or not rows[-1][5]:
        return None
    size = sum(len(row[1]) + len(row[2] or "") for row in rows)
    return await decoded(lambda: _as_it_was(rows, channel, key), size)


def _as_it_was(rows: Sequence[asyncpg.Record], channel: str, key: str) -> bytes:
    """The document at the last version of these rows, each of which follows from the one before."""
    value: Any = MISSING
    for _, diff_text, whole, *_ in rows:
        if whole is not None:
            value = decode_any(whole)
            continue
        diff = decode_any(diff_text)
        value = MISSING if is_end(diff) else apply_patch(value, diff)
    entry = decode(_entry_decoder, rows[-1][4])
    return msgspec.json.encode(
        {
            "channel": channel,
            "key": key,
            "version": rows[-1][0],
            "schema": rows[-1][3],
            "updated_at": entry.at,
            "by": author_shown(parse_channel(channel), entry.by, entry.role),
            "value": None if value is MISSING else value,
        }
    )


class Position(NamedTuple):
    """The entry after which a page begins."""

    version: int
    is_aside: bool = True
    client: str = "~"
    """Empty: Core itself. `~`: after all entries of the version, as it sorts last."""
    n: int = 0


def parse_position(text: str) -> Position:
    """Read the parameter `after`: a version, or a page's `next`.

    Raises:
        BadRequestError: it is neither.
    """
    match = _AFTER.fullmatch(text)
    if match is None:
        raise BadRequestError(f"after is {shown(text)}, and must be a version or a page's next")
    if match[2] is None:
        return Position(int(match[1]))
    return Position(int(match[1]), match[2] == "1", match[3], int(match[4]))


async def read_entries(
    pool: Pool,
    channel: str,
    key: str,
    after: Position,
    limit: int,
    names_authors: bool = True,
    of_this_party: bool = False,
) -> HistoryPage:
    """The entries of a document's history after a position, at most `limit` of them.

    Args:
        pool: the database.
        channel: the document's channel.
        key: its key.
        after: the entry after which the page begins.
        limit: the most entries.
        names_authors: whether the reader may know the subjects, and not their roles alone.
        of_this_party: leave out what is from before the party at the table.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        rows = await pool.fetch(
            _ENTRIES, channel, key, *after, limit + 1, HISTORY_BYTES, of_this_party, PARTY
        )
    given = [row for row in rows[:limit] if row[6]]
    events = [_event_of(row[0], decode_any(row[1]), names_authors) for row in given]
    if len(given) == len(rows):
        return HistoryPage(events)
    _, _, version, is_aside, client, n, _ = given[-1]
    return HistoryPage(events, f"{version}~{is_aside:d}~{client}~{n}")


def _event_of(text: str, diff: list[dict[str, Any]], names_authors: bool) -> HistoryEvent:
    entry = decode(_entry_decoder, text)
    by = entry.by if names_authors else entry.role
    return msgspec.structs.replace(entry, diff=diff, by=by)
