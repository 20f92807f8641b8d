"""Guests' phones that are told when an order is ready: kept until their party leaves.

Which table it is, the guest's token says, and nothing else. What a phone is told is what is so when
it is told, as with owners' phones; a phone of a party that has left is told nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, NotFoundError, TooManyDevicesError
from core_api.postgres.patience import despite_locks
from core_api.postgres.pool import Pool, any_error_mapped, mapped_errors
from core_api.postgres.trim_around_damage import ALL_TIME_S, trim_by
from core_api.push.messages import Ready, check_browser_key
from core_api.push.registrations import ORDER
from core_api.push.rules import Next
from core_api.push.subscriptions import LATE_AFTER_S, Standing, Subscribe
from core_api.webhooks.addresses import Networks, check_url, origin_of
from core_api.webhooks.rules import LONGEST_RETRY_AFTER_S
from server_common.limits import (
    GUEST_PUSHES,
    GUEST_PUSHES_OF_TABLE,
    PUSH_ORDERS_NAMED,
    PUSHES_AT_ONCE_EACH,
)

HOLD_S: Final = 30.0
"""A process that dies holds its phones for so long; longer than an attempt takes."""
KEPT_S: Final = 86_400.0
"""Whoever has not subscribed again is forgotten after so long, though nobody ended the party."""

# By the rule of `parties/rules.py`: a token made in the second of the change is good.
_LEFT: Final = """EXISTS (
    SELECT FROM documents d
    WHERE d.channel = 'party:' || g.store_id || '/' || g.table_id AND d.key = 'party'
      AND d.version > 0 AND g.issued_at < floor(extract(epoch FROM d.updated_at))
)"""
# Phones of parties that have left take no room of the next one, and a phone follows one table.
_CLEAR: Final = f"""
DELETE FROM guest_pushes g
WHERE (g.store_id = $1 AND g.table_id = $2 AND (g.expires_at <= now() OR {_LEFT}))
   OR (g.endpoint = $4 AND (g.store_id, g.table_id, g.device) <> ($1, $2, $3))
"""  # noqa: S608  (both parts are ours)
_ROOM: Final = """
SELECT count(*) AS whole,
    count(*) FILTER (WHERE store_id = $1 AND table_id = $2) AS of_table
FROM guest_pushes WHERE (store_id, table_id, device) <> ($1, $2, $3)
"""
# At each start of a page, perhaps of many at once: no lock but that of its own row, and no count.
_RENEW: Final = """
UPDATE guest_pushes SET p256dh = $6, auth = $7, language = $8, subject = $9, renewed_at = now()
WHERE store_id = $1 AND table_id = $2 AND device = $3 AND endpoint = $4 AND origin = $5
  AND issued_at = $10
"""
# From the newest event on: what is ready already, the guest sees on the page.
_PUT: Final = """
INSERT INTO guest_pushes AS g
    (store_id, table_id, device, endpoint, origin, p256dh, auth, language, subject, issued_at,
     expires_at, epoch, seq)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    coalesce(to_timestamp(nullif($11::float8, 0)), now() + make_interval(secs => $12)), e.epoch,
    coalesce(h.head, 0)
FROM epoch e LEFT JOIN channel_heads h ON h.channel = 'table:' || $1::text || '/' || $2::text
ON CONFLICT (store_id, table_id, device) DO UPDATE SET
    endpoint = excluded.endpoint, origin = excluded.origin, p256dh = excluded.p256dh,
    auth = excluded.auth, language = excluded.language, subject = excluded.subject,
    issued_at = excluded.issued_at, expires_at = excluded.expires_at, renewed_at = now(),
    tries = 0, due_at = now(), failing_since = NULL, failure = NULL, fence = g.fence + 1
"""
_REMOVE: Final = """
DELETE FROM guest_pushes WHERE store_id = $1 AND table_id = $2 AND device = $3
"""
# Orders that have come to be ready behind a phone's mark, and are so still. The open orders of a
# table are few, and most tables have none that is ready: their logs are not read.
_TAKE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT g.store_id, g.table_id, g.device, g.origin,
        CASE WHEN g.epoch = e.epoch THEN g.seq ELSE 0 END AS seq
    FROM guest_pushes g CROSS JOIN epoch e
    WHERE (g.tries > 0) = $3 AND g.expires_at > now()
      AND (g.due_at <= now() OR g.due_at > now() + make_interval(secs => 2::float8 * $7))
      AND (g.held_until <= now() OR g.held_until > now() + make_interval(secs => 2::float8 * $6))
      AND EXISTS (
          SELECT FROM orders o WHERE o.store_id = g.store_id AND o.table_id = g.table_id
              AND o.status = 'ready' AND o.status NOT IN ('rejected', 'paid', 'cancelled')
      )
      AND NOT {_LEFT}
), ready AS MATERIALIZED (
    SELECT d.store_id, d.table_id, d.device, d.origin, o.id, max(l.seq) AS seq,
        max(l.occurred_at) AS since,
        left(coalesce(o.reference, upper(right(o.id::text, 4))), 24) AS number
    FROM due d JOIN orders o ON o.store_id = d.store_id AND o.table_id = d.table_id
        AND o.status = 'ready' AND o.status NOT IN ('rejected', 'paid', 'cancelled')
    JOIN channel_log l ON l.channel = 'table:' || d.store_id || '/' || d.table_id
        AND l.seq > d.seq AND l.order_id = o.id AND l.type = 'order.ready'
    GROUP BY d.store_id, d.table_id, d.device, d.origin, o.id, o.reference
), ranked AS (
    SELECT r.store_id, r.table_id, r.device, max(r.seq) AS upto, min(r.since) AS since,
        array_agg(r.number ORDER BY r.seq DESC) AS numbers,
        coalesce(b.busy, 0) + row_number() OVER (
            PARTITION BY r.origin ORDER BY min(r.since)
        ) AS place
    FROM ready r LEFT JOIN unnest($1::text[], $2::int[]) AS b (origin, busy) ON b.origin = r.origin
    GROUP BY r.store_id, r.table_id, r.device, r.origin, b.busy
), free AS (
    SELECT g.store_id, g.table_id, g.device, r.upto, r.numbers
    FROM ranked r JOIN guest_pushes g USING (store_id, table_id, device)
    WHERE r.place <= $4
      AND (g.held_until <= now() OR g.held_until > now() + make_interval(secs => 2::float8 * $6))
    ORDER BY r.since LIMIT $5 FOR UPDATE OF g SKIP LOCKED
)
UPDATE guest_pushes g
SET held_until = now() + make_interval(secs => $6), fence = g.fence + 1
FROM free f CROSS JOIN epoch e
WHERE g.store_id = f.store_id AND g.table_id = f.table_id AND g.device = f.device
RETURNING g.store_id, g.table_id, g.device, g.fence, e.epoch, f.upto, g.endpoint, g.origin,
    g.p256dh, g.auth, g.language, g.tries,
    coalesce(extract(epoch FROM now() - g.failing_since), 0)::float8 AS failing_s,
    f.numbers[1:$8] AS numbers
"""  # noqa: S608  (both parts are ours)
_DONE: Final = """
UPDATE guest_pushes SET seq = $5, epoch = $6, tries = 0, failing_since = NULL, failure = NULL,
    held_until = now()
WHERE store_id = $1 AND table_id = $2 AND device = $3 AND fence = $4
"""
_FAIL: Final = """
UPDATE guest_pushes SET tries = tries + 1, failing_since = coalesce(failing_since, now()),
    failure = $5, due_at = now() + make_interval(secs => $6), held_until = now()
WHERE store_id = $1 AND table_id = $2 AND device = $3 AND fence = $4
"""
_END: Final = """
DELETE FROM guest_pushes WHERE store_id = $1 AND table_id = $2 AND device = $3 AND fence = $4
"""
_FORGET: Final = f"DELETE FROM guest_pushes g WHERE g.expires_at <= now() OR {_LEFT}"  # noqa: S608  (as above)
_STANDING: Final = """
SELECT count(*) AS subscriptions,
    count(*) FILTER (WHERE failing_since < now() - make_interval(secs => $1)) AS late
FROM guest_pushes
"""
_TRIM: Final = """
DELETE FROM guest_pushes WHERE (store_id, table_id, device) IN (
    SELECT store_id, table_id, device FROM guest_pushes
    WHERE renewed_at < now() - make_interval(secs => $1)
      AND renewed_at >= now() - make_interval(secs => $3) ORDER BY renewed_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""


def check_guest(caller: Caller) -> Channel:
    """The table whose orders the caller may be told of.

    Raises:
        ForbiddenError: the caller is no guest.
    """
    if caller.role != "table" or caller.table is None:
        raise ForbiddenError("only guests are told of their table's orders")
    return caller.table


class GuestPhones:
    """The phones of all parties.

    Args:
        pool: the database.
        networks: where push services may be.
    """

    def __init__(self, pool: Pool, networks: Networks) -> None:
        self._pool = pool
        self._networks = networks

    async def put(self, caller: Caller, device: str, wanted: Subscribe) -> None:
        """Tell a phone when an order of the caller's table is ready, until the party leaves.

        Args:
            caller: the guest.
            device: the phone's name.
            wanted: where it is told, and its keys.

        Raises:
            ForbiddenError: the caller is no guest.
            InvalidError: its endpoint leads to where nothing is sent, or its key is none.
            TooManyDevicesError: there is no room.
            UnavailableError: Postgres does not answer.
        """
        table = check_guest(caller)
        target = check_url(wanted.endpoint, self._networks, "endpoint")
        check_browser_key(wanted.p256dh)
        where = (table.root, table.part, device)
        row = (
            *where,
            wanted.endpoint,
            origin_of(target),
            wanted.p256dh,
            wanted.auth,
            wanted.language,
            caller.subject,
            caller.issued_at,
        )

        with mapped_errors():
            renewed = await self._pool.execute(_RENEW, *row)
        if renewed != "UPDATE 0":
            return

        async def add() -> None:
            with mapped_errors():
                async with self._pool.acquire() as connection, connection.transaction():
                    await connection.execute(ORDER)
                    await connection.execute(_CLEAR, *where, wanted.endpoint)
                    _check_room(dict(await connection.fetchrow(_ROOM, *where) or {}))
                    await connection.execute(_PUT, *row, float(caller.expires_at), KEPT_S)

        await despite_locks(add)

    async def remove(self, caller: Caller, device: str) -> None:
        """Tell a phone nothing any more.

        Raises:
            ForbiddenError: the caller is no guest.
            NotFoundError: no such phone of the table is told.
            UnavailableError: Postgres does not answer.
        """
        table = check_guest(caller)
        with mapped_errors():
            done = await self._pool.execute(_REMOVE, table.root, table.part, device)
        if done == "DELETE 0":
            raise NotFoundError(f"no phone {device} is told of this table's orders")


def _check_room(found: Mapping[str, int]) -> None:
    for count, most, told in (
        (found["whole"], GUEST_PUSHES, "guests' phones in all"),
        (found["of_table"], GUEST_PUSHES_OF_TABLE, "phones of a table that are told"),
    ):
        if count >= most:
            raise TooManyDevicesError(f"there may be {most} {told}")


@dataclass(frozen=True, slots=True)
class DueGuest:
    """A phone of a table that is to be told now; this process holds it."""

    store_id: str
    table_id: str
    device: str
    fence: int
    epoch: str
    upto: int
    """The newest order that it is told of, by its place in the table's log."""
    endpoint: str
    origin: str
    p256dh: str
    auth: str
    language: str
    tries: int
    failing_s: float
    numbers: list[str]
    """Those of the orders that are ready, as the page shows them, the newest first."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What each statement on it begins with."""
        return self.store_id, self.table_id, self.device, self.fence

    @property
    def told(self) -> Ready:
        """What it is told."""
        return Ready(self.numbers, self.language)

    @property
    def topic(self) -> str:
        """What a later message stands in the place of."""
        return f"{self.store_id}/{self.table_id}"


class DueGuests:
    """Which guests' phones are to be told now, and what became of it.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, held: Sequence[DueGuest], most: int, *, failing: bool) -> list[DueGuest]:
        """Take phones whose orders have been ready for the longest first.

        Args:
            held: those that this process holds already.
            most: how many it may take.
            failing: whether those whose last attempt failed, or the others.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        busy = Counter(one.origin for one in held)
        with any_error_mapped():
            rows = await self._pool.fetch(
                _TAKE,
                list(busy),
                list(busy.values()),
                failing,
                PUSHES_AT_ONCE_EACH,
                most,
                HOLD_S,
                LONGEST_RETRY_AFTER_S,
                PUSH_ORDERS_NAMED,
            )
        return [DueGuest(**row) for row in rows]

    async def note_told(self, due: DueGuest) -> None:
        """Note that its push service has taken the message. Raises UnavailableError."""
        with any_error_mapped():
            await self._pool.execute(_DONE, *due.key, due.upto, due.epoch)

    async def note_failed(self, due: DueGuest, failure: str, after: Next) -> None:
        """Note that an attempt has failed, or forget the phone. Raises UnavailableError."""
        with any_error_mapped():
            if after.ending is None:
                await self._pool.execute(_FAIL, *due.key, failure, after.wait_s)
            else:
                await self._pool.execute(_END, *due.key)

    async def settle(self) -> None:
        """Forget the phones of parties that have left. Raises UnavailableError."""
        with any_error_mapped():
            await self._pool.execute(_FORGET)

    async def standing(self) -> Standing:
        """How all of them stand now. Raises UnavailableError."""
        with any_error_mapped():
            row = await self._pool.fetchrow(_STANDING, LATE_AFTER_S)
        return Standing(**row) if row else Standing(0, 0)


async def trim_guest_phones(
    pool: Pool, older_than_s: float, batch: int, at_most_s: float = ALL_TIME_S
) -> int:
    """Forget at most `batch` phones that have not subscribed again for so long. Returns how many.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    return await trim_by(pool, _TRIM, older_than_s, batch, at_most_s)
