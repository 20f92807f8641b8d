"""The statements by which subscriptions are made, changed and shown."""

from __future__ import annotations

from typing import Final

# Two concurrent registrations would both take the last free place.
ORDER: Final = "SELECT pg_advisory_xact_lock(7061647)"
# Rows that are counted: of one subject, of the stores of one request, and all.
ROOM: Final = """
SELECT (SELECT count(*) FROM webhooks) AS whole,
    (SELECT count(*) FROM webhooks WHERE made_by = $1) AS of_subject,
    (SELECT count(*) FROM webhook_lanes) AS lanes,
    (SELECT coalesce(max(n), 0) FROM (
        SELECT count(*) AS n FROM webhook_lanes WHERE store_id = ANY($2::text[]) GROUP BY store_id
    ) AS each) AS of_store
"""
ADD: Final = """
INSERT INTO webhooks (id, url, types, generation, kid, made_by) VALUES ($1, $2, $3, 1, $4, $5)
"""
# From the newest event on, as this statement sees it.
ADD_LANES: Final = """
INSERT INTO webhook_lanes (webhook_id, store_id, epoch, seq)
SELECT $1, s.store_id, e.epoch, coalesce(h.head, 0)
FROM unnest($2::text[]) AS s (store_id) CROSS JOIN epoch e
LEFT JOIN channel_heads h ON h.channel = 'store:' || s.store_id
"""
IDS: Final = "SELECT id FROM webhooks ORDER BY made_at, id"
# No lock. $1: these ids, null: all; $2: only those of these stores alone, null: all.
LIST: Final = """
SELECT w.id, w.url, array_agg(l.store_id ORDER BY l.store_id) AS stores, w.types, w.state,
    w.made_by, w.made_at,
    count(*) FILTER (WHERE l.failing_since IS NOT NULL AND l.parked_at IS NULL) AS late,
    count(*) FILTER (WHERE l.parked_at IS NOT NULL) AS parked,
    (SELECT count(*) FROM webhook_set_aside a WHERE a.webhook_id = w.id) AS set_aside,
    (SELECT max(s.until) FROM webhook_old_secrets s
        WHERE s.webhook_id = w.id AND s.until > now()) AS old_secret_until
FROM webhooks w JOIN webhook_lanes l ON l.webhook_id = w.id
WHERE ($1::text[] IS NULL OR w.id = ANY($1::text[]))
GROUP BY w.id HAVING ($2::text[] IS NULL OR array_agg(l.store_id) <@ $2::text[])
ORDER BY w.made_at, w.id
"""
LANES: Final = """
SELECT l.store_id, l.seq, coalesce(h.head, 0) AS head,
    CASE WHEN l.parked_at IS NOT NULL THEN 'parked' WHEN l.failing_since IS NOT NULL THEN 'late'
         ELSE 'current' END AS state,
    l.failing_since, l.failure,
    CASE WHEN l.failing_since IS NOT NULL AND l.parked_at IS NULL THEN l.due_at END AS next_try_at,
    l.delivered_at
FROM webhook_lanes l LEFT JOIN channel_heads h ON h.channel = 'store:' || l.store_id
WHERE l.webhook_id = $1 ORDER BY l.store_id
"""
STORES: Final = "SELECT store_id FROM webhook_lanes WHERE webhook_id = $1"
SET_ASIDE: Final = """
SELECT 'store:' || store_id || '@' || seq AS event, epoch, failure, at
FROM webhook_set_aside WHERE webhook_id = $1 ORDER BY at, store_id, seq
"""
REMOVE: Final = "DELETE FROM webhooks WHERE id = $1"
# The row's lock orders concurrent rotations: each is a generation of its own.
ROTATE: Final = """
UPDATE webhooks w SET generation = w.generation + 1, kid = $2
FROM (SELECT id, generation, kid FROM webhooks WHERE id = $1 FOR UPDATE) AS o
WHERE w.id = o.id RETURNING o.generation, o.kid
"""
# $1: the webhook, $2 and $3: its secret until now, $4: for how long it signs.
KEEP_OLD: Final = """
INSERT INTO webhook_old_secrets (webhook_id, generation, kid, until)
VALUES ($1, $2, $3, now() + make_interval(secs => $4))
"""
# $2: the first generation that still signs.
FORGET_OLD: Final = """
DELETE FROM webhook_old_secrets WHERE webhook_id = $1 AND (until <= now() OR generation < $2)
"""
# Disabled stays disabled unless $3.
SET_STATE: Final = """
UPDATE webhooks SET state = $2 WHERE id = $1 AND ($3 OR state <> 'disabled') RETURNING id
"""
RESUME: Final = """
UPDATE webhook_lanes SET tries = 0, failing_since = NULL, parked_at = NULL, due_at = now()
WHERE (webhook_id, store_id) IN (
    SELECT webhook_id, store_id FROM webhook_lanes WHERE webhook_id = $1 ORDER BY store_id
    FOR UPDATE
)
"""
# Limited to the events that the log still has.
REACH: Final = """
SELECT s.store_id, coalesce(h.floor, 0) AS floor, coalesce(h.head, 0) AS head
FROM webhook_lanes s LEFT JOIN channel_heads h ON h.channel = 'store:' || s.store_id
WHERE s.webhook_id = $1 AND s.store_id = ANY($2::text[])
"""
# Never forward: events after the place were not sent yet. The epoch stays: if a new epoch has begun
# since, the receiver has not been told.
REPLAY: Final = """
UPDATE webhook_lanes l SET seq = least(l.seq, r.seq), tries = 0, failing_since = NULL,
    failure = NULL, parked_at = NULL, due_at = now(), held_until = now(), fence = l.fence + 1
FROM (
    SELECT p.webhook_id, p.store_id, r.seq
    FROM unnest($2::text[], $3::bigint[]) AS r (store_id, seq)
    JOIN webhook_lanes p ON p.webhook_id = $1 AND p.store_id = r.store_id
    ORDER BY p.store_id FOR UPDATE OF p
) AS r
WHERE l.webhook_id = r.webhook_id AND l.store_id = r.store_id
"""
FORGET_SET_ASIDE: Final = """
DELETE FROM webhook_set_aside a USING unnest($2::text[], $3::bigint[]) AS r (store_id, seq)
WHERE a.webhook_id = $1 AND a.store_id = r.store_id AND a.seq > r.seq
"""
# No lock. A probe of channel_heads for each lane, and one of channel_log for each that waits.
# Replayed or resumed events wait since then; leased lanes are being sent.
STANDING: Final = """
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
SET_ASIDE_COUNT: Final = "SELECT count(*) FROM webhook_set_aside"
