"""How all webhooks stand, for metrics and the ops page."""

from __future__ import annotations

from typing import Final

from core_api.postgres.pool import Pool, any_error_mapped
from core_api.webhooks.subscriptions import LATE_AFTER_S, Standing

# No lock. A probe of channel_heads for each lane, and one of channel_log for each that waits. What
# is replayed or resumed waits since then, and what is held is being sent.
_STANDING: Final = """
SELECT count(DISTINCT w.id) FILTER (WHERE w.state = 'active') AS active,
    count(DISTINCT w.id) FILTER (WHERE w.state = 'active' AND l.parked_at IS NULL
        AND l.failing_since < now() - make_interval(secs => $1)) AS late,
    count(DISTINCT w.id) FILTER (WHERE w.state = 'active' AND l.parked_at IS NOT NULL) AS parked,
    coalesce(max(extract(epoch FROM now() - greatest(e.occurred_at, l.due_at))) FILTER (
        WHERE w.state = 'active' AND l.parked_at IS NULL AND l.tries = 0 AND l.held_until <= now()
            AND e.seq IS NOT NULL
    ), 0)::float8 AS waiting_s
FROM webhooks w JOIN webhook_lanes l ON l.webhook_id = w.id
LEFT JOIN channel_heads h ON h.channel = 'store:' || l.store_id AND h.head > l.seq
LEFT JOIN channel_log e ON e.channel = h.channel AND e.seq = l.seq + 1
"""
_SET_ASIDE: Final = "SELECT count(*) FROM webhook_set_aside"


async def read_standing(pool: Pool) -> Standing:
    """How they stand now.

    Raises:
        UnavailableError: Postgres does not answer.
    """
    with any_error_mapped():
        row = await pool.fetchrow(_STANDING, LATE_AFTER_S)
        aside = await pool.fetchval(_SET_ASIDE)
    found = dict(row) if row else {"active": 0, "late": 0, "parked": 0, "waiting_s": 0.0}
    return Standing(**found, set_aside=aside)
