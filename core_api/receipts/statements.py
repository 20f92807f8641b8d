"""Devices and what they have received, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
from msgspec import Struct

from client_sdk.contract.channel import Channel, event_id
from core_api.postgres.errors import Meaning, means
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.receipts.devices import Device, Sighting

# A device that gives no epoch has a cursor of the current one. A receipt may come late, by another
# path than a sync: so it never lowers `applied`, and one of another epoch, or beyond the channel's
# head, is ignored.
_STORE: Final = """
INSERT INTO devices (store_id, device, subject, mode, epoch, applied, seen_at)
SELECT s.store_id, s.device, s.subject, s.mode, coalesce(s.epoch, e.epoch),
    CASE
        WHEN s.is_receipt THEN greatest(
            CASE WHEN s.applied <= coalesce(h.head, 0) THEN s.applied ELSE 0 END,
            coalesce(d.applied, 0)
        )
        ELSE coalesce(s.applied, d.applied, 0)
    END, now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bool[])
    AS s (store_id, device, subject, mode, epoch, applied, is_receipt)
CROSS JOIN epoch e
LEFT JOIN devices d
    ON d.store_id = s.store_id AND d.device = s.device AND d.epoch = e.epoch
LEFT JOIN channel_heads h ON s.is_receipt AND h.channel = 'store:' || s.store_id
WHERE NOT s.is_receipt OR s.epoch = e.epoch
ORDER BY s.store_id, s.device
ON CONFLICT (store_id, device) DO UPDATE SET
    subject = excluded.subject, mode = excluded.mode, epoch = excluded.epoch,
    applied = excluded.applied, seen_at = excluded.seen_at
"""

_LIST: Final = """
SELECT d.device, d.subject, d.mode, d.seen_at,
    CASE WHEN d.epoch = e.epoch THEN d.applied ELSE 0 END AS applied,
    coalesce(h.head, 0) AS head
FROM devices d CROSS JOIN epoch e LEFT JOIN channel_heads h ON h.channel = $2
WHERE d.store_id = $1 ORDER BY d.seen_at DESC, d.device LIMIT $3
"""

# All times are by the database's clock: an order's `created_at` is by Core's, which may be wrong.
# An order is unreceived if no device of its store has applied the event that placed it: without
# devices that is every order; else only the log after the highest applied seq is read.
_FIND: Final = """
WITH waiting AS MATERIALIZED (
    SELECT id, store_id, placed_at FROM orders
    WHERE status = 'placed' AND status NOT IN ('rejected', 'paid', 'cancelled')
        AND placed_at < now() - make_interval(secs => least($1::float8, $2::float8))
), applied AS MATERIALIZED (
    SELECT d.store_id, max(d.applied) AS seq FROM devices d JOIN epoch e ON e.epoch = d.epoch
    WHERE d.store_id IN (SELECT store_id FROM waiting) GROUP BY d.store_id
), found AS (
    SELECT w.id, w.store_id, w.placed_at, 'unreceived' AS kind
    FROM waiting w LEFT JOIN applied a ON a.store_id = w.store_id
    WHERE NOT $3::bool AND w.placed_at < now() - make_interval(secs => $1::float8) AND (
        a.seq IS NULL OR EXISTS (
            SELECT FROM channel_log l WHERE l.channel = 'store:' || w.store_id
                AND l.seq > a.seq AND l.order_id = w.id AND l.order_version = 1
        )
    )
    UNION ALL
    SELECT id, store_id, placed_at, 'unaccepted' FROM waiting
    WHERE placed_at < now() - make_interval(secs => $2::float8)
), resolved AS (
    DELETE FROM unreached u WHERE NOT ($3::bool AND u.kind = 'unreceived') AND NOT EXISTS (
        SELECT FROM found f WHERE f.id = u.order_id AND f.kind = u.kind
    )
)
INSERT INTO unreached (order_id, kind, store_id, placed_at)
SELECT id, kind, store_id, placed_at FROM found
ON CONFLICT DO NOTHING
"""

_UNTOLD: Final = """
SELECT order_id, kind, store_id, placed_at,
    extract(epoch FROM now() - placed_at)::float8 AS waiting_s
FROM unreached WHERE told_at IS NULL
    AND ($2::timestamptz IS NULL OR (placed_at, order_id, kind) > ($2, $3::uuid, $4::text))
ORDER BY placed_at, order_id, kind LIMIT $1
"""

_TOLD: Final = """
UPDATE unreached u SET told_at = now()
FROM unnest($1::uuid[], $2::text[]) AS t (order_id, kind)
WHERE u.order_id = t.order_id AND u.kind = t.kind
"""

_COUNT: Final = "SELECT kind, count(*) FROM unreached GROUP BY kind"


class Unreached(Struct, frozen=True):
    """An order that nobody has received, or nobody has accepted, within the set time."""

    order_id: str
    kind: str
    store_id: str
    placed_at: datetime
    waiting_s: float


async def store_sightings(pool: Pool, batch: Sequence[Sighting]) -> None:
    """Store the reports of devices; at most one sighting per device.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    columns = [
        [getattr(one, name) for one in batch]
        for name in (
            "store_id", "device", "subject", "mode", "epoch", "applied", "is_receipt",
        )
    ]  # fmt: skip
    with mapped_errors():
        await pool.execute(_STORE, *columns)


async def list_devices(pool: Pool, store_id: str, limit: int) -> list[Device]:
    """The devices of a store, the last seen first.

    Args:
        pool: the database.
        store_id: which store.
        limit: how many at most.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    channel = str(Channel("store", store_id, None))
    with mapped_errors():
        rows = await pool.fetch(_LIST, store_id, channel, limit)
    return [
        Device(
            row["device"],
            row["subject"],
            row["mode"],
            row["seen_at"],
            event_id(channel, row["applied"]),
            max(0, row["head"] - row["applied"]),
        )
        for row in rows
    ]


trim_devices: Final = trim_by_age("devices", "store_id, device", "seen_at")
"""Deletes devices that were not seen for long."""


async def find_unreached(
    pool: Pool, unreceived_after_s: float, unaccepted_after_s: float, *, held: bool = False
) -> dict[str, int]:
    """Store the orders that wait for too long and delete the others. Returns the number of each
    kind.

    Args:
        pool: the database.
        unreceived_after_s: how long an order may be without a device that has it.
        unaccepted_after_s: how long it may be `placed`.
        held: receipts lag, so orders that are `unreceived` stay so, and none is added.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        try:
            await pool.execute(_FIND, unreceived_after_s, unaccepted_after_s, held)
        except asyncpg.PostgresError as error:
            # Two alarms may run at once; the next round finds the same orders.
            if not means(error, Meaning.CLASHED):
                raise
        rows = await pool.fetch(_COUNT)
    return {row["kind"]: row["count"] for row in rows}


async def untold(pool: Pool, last: Unreached | None, limit: int) -> list[Unreached]:
    """The orders that are not reported yet, the oldest first.

    Args:
        pool: the database.
        last: only those after this one; None: from the first.
        limit: how many at most.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    begin = (None, None, None) if last is None else (last.placed_at, last.order_id, last.kind)
    with mapped_errors():
        rows = await pool.fetch(_UNTOLD, limit, *begin)
    return [
        Unreached(
            str(row["order_id"]), row["kind"], row["store_id"], row["placed_at"], row["waiting_s"]
        )
        for row in rows
    ]


async def mark_told(pool: Pool, those: Sequence[Unreached]) -> None:
    """Store that these orders are reported.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with mapped_errors():
        await pool.execute(_TOLD, [one.order_id for one in those], [one.kind for one in those])
