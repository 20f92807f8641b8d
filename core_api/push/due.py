"""Finds the browsers that are due a notification, and leases them while it is sent.

No message is queued. A message has the state at the time of sending: an order that a terminal has
received meanwhile, or that was accepted, is no longer in it; a browser whose owner was signed out
gets none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core_api.postgres.pool import Pool, any_error_mapped
from core_api.push.browsers import DueBrowser
from core_api.push.messages import PushMessage
from core_api.push.places import at_places
from core_api.push.subscribers import STANDING, Statements, Subscribers
from core_api.revocations.watching import Revoked
from core_api.webhooks.retries import LONGEST_RETRY_AFTER_S
from server_common.limits import (
    PUSH_ORDERS_COUNTED,
    PUSHES_AT_ONCE_EACH,
    PUSHES_AT_ONCE_OWNER,
)
from server_common.logs import get_logger

_log = get_logger()

HOLD_S: Final = 30.0
"""The lease of a subscription, in seconds: longer than an attempt takes."""
PAUSE_S: Final = 30.0
"""The seconds between two messages to a browser of one store, so that a rush gives only one."""
MARK_LAG: Final = 200
"""How many events a mark may lag while no order waits: each look reads the log from there."""

# For a subscription older than migration 0022 the time of the owner's sign-in is unknown. It was
# before the renewal, as the token was valid then.
_MADE_AT: Final = (
    """coalesce(nullif(p.made_at, 0), floor(extract(epoch FROM p.renewed_at))::bigint)"""
)


# For each store with an order that waits, of which somebody is to be told: the orders behind what
# any of its devices has applied, as for the receipt alarm, and behind the oldest mark. A range of
# the log's key for each, which is empty where a terminal is there. First each owner has so many at
# once, then, of these, each push service: an owner whose browsers name many hosts, or who has many
# at one, holds no place that others wait for. What is put off beyond reason,
# or placed in the future, was written before the clock was set back. Marks are seqs, in the order
# of the commits: by time, an order that was placed in a long transaction would be passed over.
def _take(only: str) -> str:
    return f"""
WITH due AS MATERIALIZED (
    SELECT p.store_id, p.device, p.origin, p.subject,
        CASE WHEN p.epoch = e.epoch THEN p.seq ELSE 0 END AS seq
    FROM push_subscriptions p CROSS JOIN epoch e
    WHERE (p.tries > 0) = $3 AND {only}
      AND (p.due_at <= now() OR p.due_at > now() + make_interval(secs => 2::float8 * $7))
      AND (p.held_until <= now() OR p.held_until > now() + make_interval(secs => 2::float8 * $6))
      AND EXISTS (
          SELECT FROM orders o WHERE o.store_id = p.store_id AND o.status = 'placed'
              AND o.status NOT IN ('rejected', 'paid', 'cancelled')
              AND (o.placed_at <= now() - make_interval(secs => $8)
                   OR o.placed_at > now() + make_interval(secs => $8))
      )
), stores AS MATERIALIZED (
    SELECT d.store_id, greatest(min(d.seq), coalesce((
        SELECT max(v.applied) FROM devices v JOIN epoch e ON e.epoch = v.epoch
        WHERE v.store_id = d.store_id
    ), 0)) AS seq
    FROM due d GROUP BY d.store_id
), waiting AS MATERIALIZED (
    SELECT s.store_id, l.seq, o.placed_at FROM stores s
    JOIN channel_log l ON l.channel = 'store:' || s.store_id AND l.seq > s.seq
        AND l.order_version = 1
    JOIN orders o ON o.id = l.order_id AND o.status = 'placed'
), owned AS (
    SELECT d.store_id, d.device, d.origin, max(w.seq) AS upto, min(w.placed_at) AS since,
        coalesce(b.busy, 0) + row_number() OVER (
            PARTITION BY d.subject ORDER BY min(w.placed_at)
        ) AS place
    FROM due d JOIN waiting w ON w.store_id = d.store_id AND w.seq > d.seq
    LEFT JOIN unnest($10::text[], $11::int[]) AS b (subject, busy) ON b.subject = d.subject
    GROUP BY d.store_id, d.device, d.origin, d.subject, b.busy
    HAVING min(w.placed_at) <= now() - make_interval(secs => $8)
        OR min(w.placed_at) > now() + make_interval(secs => $8)
), ranked AS (
    SELECT o.store_id, o.device, o.upto, o.since, coalesce(b.busy, 0) + row_number() OVER (
        PARTITION BY o.origin ORDER BY o.since
    ) AS place
    FROM owned o LEFT JOIN unnest($1::text[], $2::int[]) AS b (origin, busy) ON b.origin = o.origin
    WHERE o.place <= $12
), free AS (
    SELECT p.store_id, p.device, r.upto
    FROM ranked r JOIN push_subscriptions p USING (store_id, device)
    WHERE r.place <= $4
      AND (p.held_until <= now() OR p.held_until > now() + make_interval(secs => 2::float8 * $6))
    ORDER BY r.since LIMIT $5 FOR UPDATE OF p SKIP LOCKED
)
UPDATE push_subscriptions p
SET held_until = now() + make_interval(secs => $6), fence = p.fence + 1
FROM free f CROSS JOIN epoch e
WHERE p.store_id = f.store_id AND p.device = f.device
RETURNING p.store_id, p.device, p.fence, e.epoch, f.upto, p.endpoint, p.origin, p.subject, p.p256dh,
    p.auth, p.language, p.tries, p.token, p.session, {_MADE_AT} AS made_at,
    coalesce(extract(epoch FROM now() - p.failing_since), 0)::float8 AS failing_s,
    (SELECT count(*) FROM (
        SELECT FROM orders o WHERE o.store_id = p.store_id AND o.status = 'placed'
            AND o.status NOT IN ('rejected', 'paid', 'cancelled') LIMIT $9
    ) AS c)::int AS count
"""  # noqa: S608  (both parts are ours)


_TAKE: Final = _take("true")
_TAKE_OF: Final = _take(at_places("p", 13))
"""As `_TAKE`, of the rows at these places."""
_DONE: Final = f"""
UPDATE push_subscriptions SET seq = $4, epoch = $5, tries = 0, failing_since = NULL,
    failure = NULL, pushed_at = now(), due_at = now() + make_interval(secs => {PAUSE_S}),
    held_until = now()
WHERE store_id = $1 AND device = $2 AND fence = $3
"""  # noqa: S608  (a number of ours)
_FAIL: Final = """
UPDATE push_subscriptions SET tries = tries + 1, failing_since = coalesce(failing_since, now()),
    failure = $4, due_at = now() + make_interval(secs => $5), held_until = now()
WHERE store_id = $1 AND device = $2 AND fence = $3
"""
# Without it, a failure before an order was accepted would count as failing until the next order
# that nobody receives, and then as failing for days; and the log of a store without a terminal
# would be read from its browser's last notification, each second. Leased rows are skipped.
_SETTLE: Final = """
WITH behind AS MATERIALIZED (
    SELECT p.store_id, p.device, p.fence, h.head, e.epoch, m.seq
    FROM push_subscriptions p CROSS JOIN epoch e
    JOIN channel_heads h ON h.channel = 'store:' || p.store_id
    CROSS JOIN LATERAL (SELECT CASE WHEN p.epoch = e.epoch THEN p.seq ELSE 0 END AS seq) AS m
    WHERE p.tries > 0 OR h.head - m.seq >= $1
), stores AS MATERIALIZED (
    SELECT b.store_id, greatest(min(b.seq), coalesce((
        SELECT max(v.applied) FROM devices v JOIN epoch e ON e.epoch = v.epoch
        WHERE v.store_id = b.store_id
    ), 0)) AS seq
    FROM behind b GROUP BY b.store_id
), waiting AS MATERIALIZED (
    SELECT s.store_id, max(l.seq) AS seq FROM stores s
    JOIN channel_log l ON l.channel = 'store:' || s.store_id AND l.seq > s.seq
        AND l.order_version = 1
    JOIN orders o ON o.id = l.order_id AND o.status = 'placed'
    GROUP BY s.store_id
), settled AS (
    SELECT p.store_id, p.device, b.head, b.epoch
    FROM behind b JOIN push_subscriptions p USING (store_id, device)
    LEFT JOIN waiting w ON w.store_id = b.store_id
    WHERE coalesce(w.seq, 0) <= b.seq AND p.fence = b.fence
      AND (p.held_until <= now() OR p.held_until > now() + make_interval(secs => 2::float8 * $2))
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE push_subscriptions p
SET seq = s.head, epoch = s.epoch, tries = 0, failing_since = NULL
FROM settled s WHERE p.store_id = s.store_id AND p.device = s.device
"""
_END: Final = """
DELETE FROM push_subscriptions WHERE store_id = $1 AND device = $2 AND fence = $3
"""
_HOLDERS: Final = f"""
SELECT store_id, device, fence, token, session, subject, {_MADE_AT} FROM push_subscriptions p
"""  # noqa: S608  (as above)
_END_HOLDERS: Final = """
DELETE FROM push_subscriptions p
USING unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
    AS r (store_id, device, fence, token, session)
WHERE p.store_id = r.store_id AND p.device = r.device AND p.fence = r.fence
  AND p.token = r.token AND p.session = r.session
"""


_STATEMENTS: Final = Statements(
    done=_DONE,
    fail=_FAIL,
    end=_END,
    holders=_HOLDERS,
    end_holders=_END_HOLDERS,
    standing=STANDING.format(table="push_subscriptions"),
    table="push_subscriptions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due(DueBrowser):
    """A browser of one store that is due a notification."""

    count: int
    """Orders of the store that are `placed`, up to `PUSH_ORDERS_COUNTED`."""

    @property
    def key(self) -> tuple[str, str, int]:
        """Its primary key, the first arguments of each statement."""
        return self.store_id, self.device, self.fence

    @property
    def told(self) -> PushMessage:
        """The message for it."""
        return PushMessage(self.store_id, self.count, self.language)

    @property
    def topic(self) -> str:
        """The topic: a later message of the same topic replaces one not yet delivered."""
        return self.store_id


class DueOwners(Subscribers[Due]):
    """Finds the owners' browsers that are due a notification, and stores the results.

    Args:
        pool: the database.
        revoked: what is known of revoked tokens.
        after_s: how long an order may be without a device that has it, in seconds.
    """

    def __init__(self, pool: Pool, revoked: Revoked, after_s: float) -> None:
        super().__init__(pool, revoked, _STATEMENTS)
        self._after_s = after_s

    async def _take(
        self, held: Sequence[Due], limit: int, failing: bool, only: Sequence[str] | None
    ) -> list[Due]:
        at_service, of_owner = Counter[str](), Counter[str]()
        for one in held:
            at_service[one.origin] += 1
            of_owner[one.subject] += 1
        rows = await self._leased(
            _TAKE if only is None else _TAKE_OF,
            list(at_service),
            list(at_service.values()),
            failing,
            PUSHES_AT_ONCE_EACH,
            limit,
            HOLD_S,
            LONGEST_RETRY_AFTER_S,
            self._after_s,
            PUSH_ORDERS_COUNTED,
            list(of_owner),
            list(of_owner.values()),
            PUSHES_AT_ONCE_OWNER,
            only=only,
        )
        return [Due(**row) for row in rows]

    def _log_revoked(self, one: Due) -> None:
        _log.info("push_revoked", store=one.store_id, device=one.device)

    async def settle(self) -> None:
        """Clear the state of browsers whose orders no longer wait.

        Their failures are reset, and their marks move up to the newest event. Browsers whose owner
        was signed out are deleted.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        with any_error_mapped():
            await self._pool.execute(_SETTLE, MARK_LAG, HOLD_S)
        await super().settle()
