"""Renews the sessions of a client that sends requests but no edits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core_api.documents.definitions import Definitions
from core_api.edits.lifetimes import SESSION_S
from core_api.edits.what_was_read import KnownClient
from core_api.postgres.pool import Pool, mapped_errors

RENEWED_EVERY_S: Final = 3600.0
"""Requests within so many seconds after the last renewal write nothing."""

# It waits for no lock: the holder of a session's row is its client, whose edit renews it, or Core,
# which is deleting it.
_HEAR: Final = """
WITH known AS (
    SELECT subject, settled FROM edit_clients WHERE client = $1
), seen AS (
    UPDATE edit_clients SET seen_at = now() WHERE client IN (
        SELECT client FROM edit_clients
        WHERE client = $1 AND subject = $2 AND seen_at < now() - make_interval(secs => $5::float8)
        FOR NO KEY UPDATE SKIP LOCKED
    )
), going_on AS (
    SELECT channel, key FROM documents
    WHERE key = ANY($3::text[]) AND ends_at < now() + make_interval(secs => $4::float8 - $5::float8)
      AND EXISTS (SELECT FROM known WHERE subject = $2)
    FOR NO KEY UPDATE SKIP LOCKED
), renewed AS (
    UPDATE documents d SET ends_at = now() + make_interval(secs => $4::float8) FROM going_on g
    WHERE d.channel = g.channel AND d.key = g.key
)
SELECT subject, settled FROM known
"""


def session_keys(definitions: Definitions, client: str) -> Sequence[str]:
    """The keys that the documents of a client's session may have. Pure."""
    return sorted({f"{one.key}.{client}" for one in definitions.all if one.lifetime == "session"})


async def hear_of(
    pool: Pool, definitions: Definitions, client: str, subject: str
) -> KnownClient | None:
    """Record a client's request, and renew its sessions, if it belongs to this subject.

    Args:
        pool: connections to Postgres.
        definitions: which documents belong to sessions.
        client: the client of edits.
        subject: who calls, with the role before it.

    Returns:
        The client's subject and last settled number; None: the client is not known.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        row = await pool.fetchrow(
            _HEAR, client, subject, session_keys(definitions, client), SESSION_S, RENEWED_EVERY_S
        )
    return None if row is None else KnownClient(row[0], row[1])
