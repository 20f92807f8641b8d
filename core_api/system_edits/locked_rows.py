"""Reads documents that Core itself will change: locked until the transaction ends."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.json_decoding import decode_any
from core_api.documents.kept_versions import Head
from core_api.edits.reading import Connection
from core_api.postgres.unreadable_rows import unreadable_rows

# Locked rows are being edited, and are skipped. If a row changes before it is locked, Postgres
# evaluates it again, so the result is valid under the lock.
_DUE: Final = """
SELECT channel, key, version, value, schema, made_at, now() FROM documents
WHERE ends_at <= now() AND channel || ' ' || key <> ALL($1::text[])
ORDER BY ends_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
# The same without the values, one of which may be damaged.
_DUE_NAMES: Final = """
SELECT channel, key FROM documents
WHERE ends_at <= now() AND channel || ' ' || key <> ALL($1::text[])
ORDER BY ends_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
_OF_OLD_SCHEMA: Final = """
SELECT d.channel, d.key, d.version, d.value, d.schema, d.made_at, now() FROM documents d
     JOIN unnest($1::text[], $2::text[], $3::int[]) AS q(channel, key, newest)
          ON q.channel = d.channel AND q.key = d.key
WHERE d.value IS NOT NULL AND d.schema < q.newest
ORDER BY d.channel, d.key FOR NO KEY UPDATE OF d
"""


class LockedRow(NamedTuple):
    """A document's row as the database gave it."""

    channel: str
    key: str
    version: int
    value: str | None
    schema: int
    made_at: datetime
    now: datetime
    """By the database's clock."""

    @property
    def name(self) -> str:
        """Its name in logs."""
        return f"{self.channel} {self.key}"

    def head(self) -> Head:
        """The newest version.

        Raises:
            msgspec.DecodeError: the value is not JSON.
        """
        value = None if self.value is None else decode_any(self.value)
        return Head(self.version, value, self.schema, self.made_at)

    def place(self) -> Channel:
        """Its channel.

        Raises:
            ChannelError: it is none.
        """
        return parse_channel(self.channel)


async def lock_due(connection: Connection, but: list[str], limit: int) -> list[LockedRow]:
    """Expired documents, locked; those that somebody has locked are left out.

    Args:
        connection: with a transaction.
        but: documents to leave out (`channel key`).
        limit: how many at most.

    Raises:
        UnreadableRowError: Postgres cannot give one of them.
    """
    with unreadable_rows():
        return [LockedRow(*row) for row in await connection.fetch(_DUE, but, limit)]


async def due_names(connection: Connection, but: list[str], limit: int) -> list[tuple[str, str]]:
    """The channels and keys of those that `lock_due` would give, locked, whatever their values are.

    Args:
        connection, but, limit: as for `lock_due`.
    """
    return [(row[0], row[1]) for row in await connection.fetch(_DUE_NAMES, but, limit)]


async def lock_outdated(
    connection: Connection, places: list[tuple[str, str, int]]
) -> list[LockedRow]:
    """Those of these documents whose value fits an older schema than the one named with each.

    Raises:
        UnreadableRowError: Postgres cannot give one of them.
    """
    columns = [[place[index] for place in places] for index in range(3)]
    with unreadable_rows():
        return [LockedRow(*row) for row in await connection.fetch(_OF_OLD_SCHEMA, *columns)]
