"""The lanes of the database: each is one store of one subscription, with its place in the log.

A lane belongs to the process that holds it. Each statement that moves it checks `fence`. So a
process that has lost the lane changes nothing, nor does one whose lane was replayed, resumed or
removed meanwhile. `sender.py` decides what is sent, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from core_api.errors import UnavailableError, UnreadableRowError
from core_api.postgres.pool import Pool, any_error_mapped, mapped_errors
from core_api.postgres.unreadable_rows import unreadable_rows
from core_api.restore.lineage import IDENTITY
from core_api.webhooks.messages import LogPage, LogRow
from core_api.webhooks.retries import LONGEST_RETRY_AFTER_S, After
from server_common.limits import (
    WEBHOOK_EVENTS_READ,
    WEBHOOK_READ_BYTES,
    WEBHOOK_SET_ASIDE,
    WEBHOOKS_AT_ONCE_EACH,
)

HOLD_S: Final = 40.0
"""The lease of a lane, in seconds: longer than two attempts take. A dead process's ends then."""

# Whether this database is the one that its epoch began in, as far as it is known.
_OF_ITS_EPOCH: Final = f"coalesce(e.born_in = {IDENTITY}, true)"
# Locks the lanes that it takes, passing over those that somebody holds. A probe of the primary key
# of channel_heads for each lane that is due. A time further ahead than any wait was
# written before the clock was set back, and is due. No lane is taken in a database that is not the
# one of its epoch: it may assign seqs that receivers have seen to other events.
_TAKE: Final = f"""
WITH ranked AS MATERIALIZED (
    SELECT l.webhook_id, l.store_id, coalesce(b.busy, 0) + row_number() OVER (
        PARTITION BY l.webhook_id ORDER BY l.due_at
    ) AS place
    FROM webhook_lanes l
    JOIN webhooks w ON w.id = l.webhook_id AND w.state = 'active'
    JOIN epoch e ON {_OF_ITS_EPOCH}
    JOIN channel_heads h ON h.channel = 'store:' || l.store_id
        AND (h.head <> l.seq OR l.epoch <> e.epoch)
    LEFT JOIN unnest($1::text[], $2::int[]) AS b (webhook_id, busy) ON b.webhook_id = l.webhook_id
    WHERE l.parked_at IS NULL AND (l.tries > 0) = $3
      AND ($8::text[] IS NULL
           OR (l.webhook_id, l.store_id) IN (SELECT * FROM unnest($8::text[], $9::text[])))
      AND (l.tries = 0 OR l.due_at <= now()
           OR l.due_at > now() + make_interval(secs => 2::float8 * $7))
      AND (l.held_until <= now() OR l.held_until > now() + make_interval(secs => 2::float8 * $6))
), free AS (
    SELECT l.webhook_id, l.store_id
    FROM ranked r JOIN webhook_lanes l USING (webhook_id, store_id)
    WHERE r.place <= $4 AND l.parked_at IS NULL
      AND (l.held_until <= now() OR l.held_until > now() + make_interval(secs => 2::float8 * $6))
    ORDER BY l.due_at LIMIT $5 FOR UPDATE OF l SKIP LOCKED
)
UPDATE webhook_lanes l
SET held_until = now() + make_interval(secs => $6), fence = l.fence + 1
FROM free f JOIN webhooks w ON w.id = f.webhook_id
WHERE l.webhook_id = f.webhook_id AND l.store_id = f.store_id
RETURNING l.webhook_id, l.store_id, l.fence, l.epoch, l.seq, l.tries,
    coalesce(extract(epoch FROM now() - l.failing_since), 0)::float8 AS failing_s,
    w.url, w.types, w.generation, w.kid,
    ARRAY(SELECT s.generation FROM webhook_old_secrets s WHERE s.webhook_id = w.id
        AND s.until > now() ORDER BY s.generation DESC) AS old_generations,
    ARRAY(SELECT s.kid FROM webhook_old_secrets s WHERE s.webhook_id = w.id
        AND s.until > now() ORDER BY s.generation DESC) AS old_kids
"""  # noqa: S608 (of constants only)
_IS_ITS_EPOCHS: Final = f"SELECT {_OF_ITS_EPOCH} FROM epoch e"  # noqa: S608
# Without those whose names are damaged, which no webhook or log matches.
_ALL: Final = """
SELECT l.webhook_id, l.store_id FROM webhook_lanes l JOIN webhooks w ON w.id = l.webhook_id
JOIN channel_heads h ON h.channel = 'store:' || l.store_id
"""
# No lock; one statement, so that epoch, head and rows are of one moment. The page ends where its
# room does; the first wanted event always fits. If another database takes over while a lane is
# being sent, it gives no page.
_READ: Final = f"""
SELECT e.epoch, coalesce(h.head, 0) AS head, now() AS at, r.seq, r.type, r.occurred_at, r.body
FROM epoch e LEFT JOIN channel_heads h ON h.channel = $1 LEFT JOIN LATERAL (
    SELECT p.seq, p.type, p.occurred_at, CASE WHEN p.is_wanted THEN p.body END AS body FROM (
        SELECT c.*, sum(c.size) OVER (ORDER BY c.seq) AS upto FROM (
            SELECT seq, type, occurred_at, body, w.is_wanted,
                CASE WHEN w.is_wanted THEN octet_length(body) ELSE 0 END AS size
            FROM channel_log,
                LATERAL (SELECT $4::text[] = '{{}}' OR type = ANY($4::text[]) AS is_wanted) AS w
            WHERE channel = $1 AND seq > $2 ORDER BY seq LIMIT $3
        ) AS c
    ) AS p WHERE p.upto <= $5 OR p.upto = p.size
) AS r ON true WHERE {_OF_ITS_EPOCH} ORDER BY r.seq
"""  # noqa: S608 (of constants only)
_MOVE: Final = """
UPDATE webhook_lanes l SET seq = $4, epoch = $5, tries = 0, failing_since = NULL, failure = NULL,
    delivered_at = CASE WHEN $6 THEN now() ELSE delivered_at END,
    held_until = now() + make_interval(secs => $7)
WHERE webhook_id = $1 AND store_id = $2 AND fence = $3
  AND EXISTS (SELECT FROM webhooks w WHERE w.id = $1 AND w.state = 'active')
RETURNING seq
"""
_FAIL: Final = """
UPDATE webhook_lanes SET tries = tries + 1, failing_since = coalesce(failing_since, now()),
    failure = $4, due_at = now() + make_interval(secs => $5), held_until = now(),
    parked_at = CASE WHEN $6 THEN now() END
WHERE webhook_id = $1 AND store_id = $2 AND fence = $3
"""
# After all that are due already: a slow lane with much to send does not delay others.
_RELEASE: Final = """
UPDATE webhook_lanes SET held_until = now(), due_at = now()
WHERE webhook_id = $1 AND store_id = $2 AND fence = $3 AND held_until > now()
"""
_END: Final = "UPDATE webhooks SET state = 'ended' WHERE id = $1 AND state = 'active'"
_HURRY: Final = """
UPDATE webhook_lanes SET due_at = now() WHERE (webhook_id, store_id) IN (
    SELECT webhook_id, store_id FROM webhook_lanes
    WHERE webhook_id = $1 AND parked_at IS NULL AND due_at > now() FOR UPDATE SKIP LOCKED
)
"""
# One statement, as a lane whose place did not move past the event set aside would send it again.
_SET_ASIDE: Final = """
WITH moved AS (
    UPDATE webhook_lanes SET seq = $4, epoch = $5, tries = 0, failing_since = NULL, failure = NULL,
        delivered_at = now(), held_until = now() + make_interval(secs => $6)
    WHERE webhook_id = $1 AND store_id = $2 AND fence = $3
      AND EXISTS (SELECT FROM webhooks w WHERE w.id = $1 AND w.state = 'active')
      AND (SELECT count(*) FROM webhook_set_aside a WHERE a.webhook_id = $1) < $9
    RETURNING webhook_id, store_id
)
INSERT INTO webhook_set_aside (webhook_id, store_id, epoch, seq, failure)
SELECT m.webhook_id, m.store_id, $5, $7::bigint, $8 FROM moved m
ON CONFLICT (webhook_id, store_id, epoch, seq) DO UPDATE SET failure = EXCLUDED.failure, at = now()
RETURNING seq
"""
_HAS_ROOM: Final = "SELECT count(*) < $2 FROM webhook_set_aside WHERE webhook_id = $1"


@dataclass(frozen=True, slots=True)
class HeldLane:
    """A lane that this process holds."""

    webhook_id: str
    store_id: str
    fence: int
    epoch: str
    seq: int
    tries: int
    """How many attempts have failed since the last that succeeded."""
    failing_s: float
    """For how many seconds attempts have failed."""
    url: str
    types: list[str]
    generation: int
    kid: str
    old_generations: list[int]
    """Of older secrets that still sign, the newest first."""
    old_kids: list[str]
    """The keys that these come from."""

    @property
    def channel(self) -> str:
        """The channel of its store."""
        return f"store:{self.store_id}"

    @property
    def key(self) -> tuple[str, str, int]:
        """Its primary key, the first arguments of each statement."""
        return self.webhook_id, self.store_id, self.fence


LaneKey: TypeAlias = tuple[str, str]
"""A webhook and a store of it."""


async def take_lanes(
    pool: Pool,
    busy: Mapping[str, int],
    limit: int,
    *,
    failing: bool,
    only: Sequence[LaneKey] | None = None,
) -> list[HeldLane]:
    """Lease lanes that have something to send and are due.

    Args:
        pool: the database.
        busy: how many lanes this process holds already, by subscription.
        limit: how many it may take.
        failing: whether those whose last attempt failed, or the others.
        only: those of these; None: of all.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: one that is due is damaged; none was taken.
    """
    arguments = (
        list(busy),
        list(busy.values()),
        failing,
        WEBHOOKS_AT_ONCE_EACH,
        limit,
        HOLD_S,
        LONGEST_RETRY_AFTER_S,
        None if only is None else [key[0] for key in only],
        None if only is None else [key[1] for key in only],
    )
    with any_error_mapped(), unreadable_rows():
        # A returned value may not be valid text: then no lane may stay leased.
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_TAKE, *arguments)
    return [HeldLane(**row) for row in rows]


async def is_of_its_epoch(pool: Pool) -> bool:
    """Whether the database is the one that its epoch began in, as far as is known.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        return bool(await pool.fetchval(_IS_ITS_EPOCHS))


async def all_lanes(pool: Pool) -> list[LaneKey]:
    """All lanes whose stores have a log.

    Raises:
        UnavailableError: Postgres does not answer.
        UnreadableRowError: one of them cannot be named.
    """
    with any_error_mapped(), unreadable_rows():
        rows = await pool.fetch(_ALL)
    return [(row["webhook_id"], row["store_id"]) for row in rows]


async def read_page(pool: Pool, lane: HeldLane, seq: int) -> LogPage:
    """The log's events after a lane's place.

    Args:
        pool: the database.
        lane: whose store's log is read.
        seq: only what comes after it.

    Raises:
        UnavailableError: Postgres does not answer, or another database than that of the epoch does.
    """
    try:
        return await _read(pool, lane, seq, WEBHOOK_EVENTS_READ)
    except UnreadableRowError:
        pass
    try:
        return await _read(pool, lane, seq, 1)
    except UnreadableRowError:
        page = await _read(pool, lane, seq, 0)
        return LogPage(page.epoch, page.head, page.at, (), is_damaged=True)


async def _read(pool: Pool, lane: HeldLane, seq: int, limit: int) -> LogPage:
    with mapped_errors(), unreadable_rows():
        rows = await pool.fetch(_READ, lane.channel, seq, limit, lane.types, WEBHOOK_READ_BYTES)
    if not rows:
        raise UnavailableError("this is not the database that its epoch began in")
    first = rows[0]
    found = [LogRow(*row[3:]) for row in rows if row["seq"] is not None]
    return LogPage(first["epoch"], first["head"], first["at"], found)


async def move_lane(
    pool: Pool, lane: HeldLane, seq: int, epoch: str, *, has_delivered: bool
) -> bool:
    """Move a lane to this place. False: this process no longer holds it, or it must not be sent.

    Args:
        pool: the database.
        lane: which one.
        seq: its new place.
        epoch: of the log.
        has_delivered: whether an event was sent, not only skipped.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        moved = await pool.fetch(_MOVE, *lane.key, seq, epoch, has_delivered, HOLD_S)
    return bool(moved)


async def note_failure(pool: Pool, lane: HeldLane, failure: str, after: After) -> None:
    """Store that an attempt has failed, and release the lane. Raises UnavailableError.

    Args:
        pool, lane: as for `move_lane`.
        failure: what went wrong, as it is stored.
        after: when the next attempt follows, or that none does.
    """
    with any_error_mapped():
        await pool.execute(_FAIL, *lane.key, failure, after.wait_s, after.is_parked)


async def release_lane(pool: Pool, lane: HeldLane) -> None:
    """Release a lane. Raises UnavailableError."""
    with any_error_mapped():
        await pool.execute(_RELEASE, *lane.key)


async def end_webhook(pool: Pool, webhook_id: str) -> None:
    """End the subscription: its receiver has answered 410. Raises UnavailableError."""
    with any_error_mapped():
        await pool.execute(_END, webhook_id)


async def hurry_lanes(pool: Pool, webhook_id: str) -> None:
    """Make the subscription's other failed lanes due at once: its receiver works again.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        await pool.execute(_HURRY, webhook_id)


async def may_set_aside(pool: Pool, lane: HeldLane) -> bool:
    """Whether the subscription has room for one more. Raises UnavailableError."""
    with any_error_mapped():
        return bool(await pool.fetchval(_HAS_ROOM, lane.webhook_id, WEBHOOK_SET_ASIDE))


async def set_aside(
    pool: Pool, lane: HeldLane, epoch: str, seq: int, failure: str, moved_to: int
) -> bool:
    """Set an event aside, and move the lane to the next one, which was delivered.

    Args:
        pool: the database.
        lane: whose event it is.
        epoch: of the log.
        seq: of the event that is left out.
        failure: the receiver's answer to it.
        moved_to: the lane's new place.

    Returns:
        Whether it was set aside; if not, the lane has not moved.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    arguments = (*lane.key, moved_to, epoch, HOLD_S, seq, failure, WEBHOOK_SET_ASIDE)
    with any_error_mapped():
        return bool(await pool.fetch(_SET_ASIDE, *arguments))
