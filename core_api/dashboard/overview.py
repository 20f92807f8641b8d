"""What the ops page reads from Postgres: the backlog, devices seen, orders that reach nobody, and
the state of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from client_sdk.contract.json_decoding import decode
from core_api.dashboard.acknowledgements import read_acknowledgements
from core_api.dashboard.waiting import Contact, LateStore, Overview, Waiting
from core_api.errors import UnavailableError
from core_api.postgres.pool import Pool, any_error_mapped
from core_api.webhooks.registrations import read_standing
from server_common.logs import get_logger

_log = get_logger()

# No lock. Of devices at most the 100,000 that were seen last are counted, by ix_devices_seen_at.
_MODES: Final = """
SELECT mode, count(*) AS devices FROM (
    SELECT mode FROM devices WHERE seen_at > now() - make_interval(secs => $1)
    ORDER BY seen_at DESC LIMIT 100000
) AS seen GROUP BY mode
"""

# No lock; the count reads at most 100,001 index entries, the age the first of the primary key.
_OUTBOX: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT 100001) AS counted) AS rows,
       (SELECT extract(epoch FROM now() - committed_after)::float8
        FROM outbox ORDER BY id LIMIT 1) AS age_s
"""

# No lock. The table holds only orders that are late now; of many, the first 10,000 are counted.
_UNREACHED: Final = """
WITH late AS MATERIALIZED (
    SELECT order_id, kind, store_id, placed_at FROM unreached ORDER BY placed_at LIMIT 10000
)
SELECT kind, store_id, count(*) AS orders,
       extract(epoch FROM now() - min(placed_at))::float8 AS waiting_s,
       (array_agg(order_id::text ORDER BY placed_at))[1] AS order_id
FROM late GROUP BY kind, store_id ORDER BY min(placed_at), store_id, kind LIMIT $1
"""

# No lock. A probe of the primary key of documents for each store; a value too long for a contact is
# not read.
_CONTACTS: Final = """
SELECT substr(channel, 6) AS store_id, value FROM documents
WHERE channel = ANY($1::text[]) AND key = 'contact' AND octet_length(value) <= 4096
"""
_contact: Final = msgspec.json.Decoder(Contact)


async def count_modes(pool: Pool, seen_within_s: float) -> dict[str, int]:
    """How many devices were seen in each mode within that time.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        rows = await pool.fetch(_MODES, seen_within_s)
    return {row["mode"]: row["devices"] for row in rows}


async def read_overview(pool: Pool, seen_within_s: float, most_stores: int) -> Overview:
    """All that the ops page takes from Postgres.

    Args:
        pool: the database.
        seen_within_s: devices seen within so many seconds are counted.
        most_stores: at most so many late stores are given, those that have waited longest.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        async with pool.acquire() as connection:
            at = await connection.fetchval("SELECT now()")
            outbox = await connection.fetchrow(_OUTBOX)
            modes = await connection.fetch(_MODES, seen_within_s)
            late = await connection.fetch(_UNREACHED, most_stores)
    acknowledged = await read_acknowledgements(pool)
    contacts = await _contacts(pool, [row["store_id"] for row in late])
    return Overview(
        at,
        Waiting(outbox["rows"], outbox["age_s"] or 0.0) if outbox else Waiting(0, 0.0),
        {row["mode"]: row["devices"] for row in modes},
        [replace(LateStore(**row), contact=contacts.get(row["store_id"])) for row in late],
        acknowledged,
        await read_standing(pool),
    )


async def _contacts(pool: Pool, stores: Sequence[str]) -> dict[str, Contact]:
    """Whom to phone in each store; an unreadable contact hides neither the store nor the others."""
    if not stores:
        return {}
    try:
        with any_error_mapped():
            rows = await pool.fetch(_CONTACTS, [f"team:{store}" for store in stores])
    except UnavailableError as error:
        _log.warning("contacts_not_read", reason=str(error))
        return {}
    return {row["store_id"]: found for row in rows if (found := contact_of(row["value"]))}


def contact_of(value: str) -> Contact | None:
    """The contact in the document; None: the operator has defined it with another form."""
    try:
        return decode(_contact, value)
    except msgspec.DecodeError:
        return None
