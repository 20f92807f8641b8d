"""Finds the guests' phones that are due a notification, and stores the results.

A message has the state at the time of sending, as for owners' phones; a phone of a party that has
left, or whose guest's token was revoked, gets none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core_api.postgres.pool import Pool, any_error_mapped
from core_api.push.browsers import DueBrowser
from core_api.push.guests import LEFT
from core_api.push.messages import Ready
from core_api.push.places import at_places
from core_api.push.subscribers import STANDING, Statements, Subscribers
from core_api.revocations.watching import Revoked
from core_api.webhooks.retries import LONGEST_RETRY_AFTER_S
from server_common.limits import PUSH_ORDERS_NAMED, PUSHES_AT_ONCE_EACH
from server_common.logs import get_logger

_log = get_logger()

HOLD_S: Final = 30.0
"""The lease of a phone, in seconds: longer than an attempt takes."""


# Orders that became ready after a phone's mark, and still are. The open orders of a
# table are few, and most tables have none that is ready: their logs are not read.
def _take(only: str) -> str:
    return f"""
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
      AND NOT {LEFT} AND {only}
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
    g.p256dh, g.auth, g.language, g.tries, g.token, g.session, g.subject,
    coalesce(nullif(g.signed_in_at, 0), g.issued_at) AS made_at,
    coalesce(extract(epoch FROM now() - g.failing_since), 0)::float8 AS failing_s,
    f.numbers[1:$8] AS numbers
"""  # noqa: S608  (both parts are ours)


_TAKE: Final = _take("true")
_TAKE_OF: Final = _take(at_places("g", 9))
"""As `_TAKE`, of the rows at these places."""
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
_FORGET: Final = f"DELETE FROM guest_pushes g WHERE g.expires_at <= now() OR {LEFT}"  # noqa: S608  (as above)
# Run after a revocation: the result is compared with the revocations in memory.
_HOLDERS: Final = """
SELECT store_id, table_id, device, fence, token, session, subject,
    coalesce(nullif(signed_in_at, 0), issued_at) AS made_at
FROM guest_pushes p
"""
_END_HOLDERS: Final = """
DELETE FROM guest_pushes g USING unnest($1::text[], $2::text[], $3::text[], $4::bigint[],
    $5::text[], $6::text[]) AS r (store_id, table_id, device, fence, token, session)
WHERE g.store_id = r.store_id AND g.table_id = r.table_id AND g.device = r.device
  AND g.fence = r.fence AND g.token = r.token AND g.session = r.session
"""
_STATEMENTS: Final = Statements(
    done=_DONE,
    fail=_FAIL,
    end=_END,
    holders=_HOLDERS,
    end_holders=_END_HOLDERS,
    standing=STANDING.format(table="guest_pushes"),
    table="guest_pushes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueGuest(DueBrowser):
    """A phone of a table that is due a notification."""

    table_id: str
    numbers: list[str]
    """Those of the orders that are ready, as the page shows them, the newest first."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Its primary key, the first arguments of each statement."""
        return self.store_id, self.table_id, self.device, self.fence

    @property
    def told(self) -> Ready:
        """The message for it."""
        return Ready(self.numbers, self.language)

    @property
    def topic(self) -> str:
        """The topic: a later message of the same topic replaces one not yet delivered."""
        return f"{self.store_id}/{self.table_id}"


class DueGuests(Subscribers[DueGuest]):
    """Finds the guests' phones that are due a notification, and stores the results.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
    """

    def __init__(self, pool: Pool, revoked: Revoked) -> None:
        super().__init__(pool, revoked, _STATEMENTS)

    async def _take(
        self, held: Sequence[DueGuest], limit: int, failing: bool, only: Sequence[str] | None
    ) -> list[DueGuest]:
        busy = Counter(one.origin for one in held)
        rows = await self._leased(
            _TAKE if only is None else _TAKE_OF,
            list(busy),
            list(busy.values()),
            failing,
            PUSHES_AT_ONCE_EACH,
            limit,
            HOLD_S,
            LONGEST_RETRY_AFTER_S,
            PUSH_ORDERS_NAMED,
            only=only,
        )
        return [DueGuest(**row) for row in rows]

    def _log_revoked(self, one: DueGuest) -> None:
        _log.info("guest_push_revoked", store=one.store_id, table=one.table_id, device=one.device)

    async def settle(self) -> None:
        """Delete the phones of parties that have left, and of guests whose token was revoked.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with any_error_mapped():
            await self._pool.execute(_FORGET)
        await super().settle()
