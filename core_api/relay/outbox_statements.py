"""The statements of the outbox and of the leases on its shards, with the fence that each checks.

Each runs in a transaction of its own, so any connection of a pool (or of a pooler) can run it; no
session state is left behind, and no lock outlives its statement.
"""

from __future__ import annotations

from typing import Final

from core_api.restore.lineage import TIMELINE

# It is null in a database that was promoted since the epoch began: it may lack published events.
_EPOCH: Final = f"""
SELECT epoch FROM epoch WHERE coalesce(split_part(born_in, '/', 2) = ({TIMELINE})::text, true)
"""  # noqa: S608 (of constants only)

# No lock. Per held shard one range of ix_outbox_shard_id, and per channel of a row one probe of the
# log's primary key (OFFSET 0 keeps it a probe, whatever the statistics say). A shard whose lease is
# no longer ours, or has expired, gives no row at all; a held shard without events gives one row of
# nulls. A row may become visible before one that was read already (another store's commit came
# later), so each read starts at the first row; a remembered position would miss such rows.
READ: Final = f"""
SELECT ({_EPOCH}),
       extract(epoch FROM now())::float8, l.shard,
       o.id, o.store_id, extract(epoch FROM now() - o.committed_after)::float8,
       e.type, to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       o.channels, o.seqs, e.lines
FROM unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
     JOIN relay_leases l ON l.shard = mine.shard AND l.fence = mine.fence
          AND l.owner = $1 AND l.expires_at > now()
     LEFT JOIN LATERAL (
         SELECT id, store_id, channels, seqs, committed_after FROM outbox
         WHERE shard = l.shard ORDER BY id LIMIT $4
     ) AS o ON true
     LEFT JOIN LATERAL (
         SELECT min(c.type) AS type, min(c.occurred_at) AS occurred_at,
                array_agg(
                    '{{"id":"' || p.channel || '@' || p.seq || '","seq":' || p.seq || ',' || c.body
                    ORDER BY p.place
                ) AS lines
         FROM unnest(o.channels, o.seqs) WITH ORDINALITY AS p(channel, seq, place)
              CROSS JOIN LATERAL (
                  SELECT type, occurred_at, body FROM channel_log
                  WHERE channel = p.channel AND seq = p.seq OFFSET 0
              ) AS c
     ) AS e ON true
ORDER BY l.shard, o.id
"""  # noqa: S608 (of constants only)

# A row whose event Postgres cannot give, by what the outbox itself has.
FIRST: Final = f"""
SELECT ({_EPOCH}), extract(epoch FROM now())::float8, l.shard,
       o.id, o.store_id, extract(epoch FROM now() - o.committed_after)::float8, o.channels, o.seqs
FROM unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
     JOIN relay_leases l ON l.shard = mine.shard AND l.fence = mine.fence
          AND l.expires_at > now() AND l.owner = $1
     JOIN LATERAL (
         SELECT id, store_id, channels, seqs, committed_after FROM outbox
         WHERE shard = l.shard ORDER BY id LIMIT 1
     ) AS o ON true
"""  # noqa: S608 (of constants only)

# The fence. The lease rows are share-locked, so a relay that takes a shard over waits for this
# statement or this statement sees its higher number and deletes nothing there. The epoch is checked
# as well: after a restore the same row ids may name other events. Probes of both primary keys.
# It waits for a lock only for a moment; then DELETE_FREE leaves out the locked rows.
# Its commit need not wait for the disk: a row whose delete is lost in a crash is published again,
# and consumers drop it by its seq.
DELETE: Final = """
WITH held AS (
    SELECT l.shard FROM relay_leases l
         JOIN unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
              ON l.shard = mine.shard AND l.fence = mine.fence
    WHERE l.owner = $1
    ORDER BY l.shard FOR SHARE OF l
)
DELETE FROM outbox o
WHERE o.id = ANY($4::bigint[]) AND o.shard IN (SELECT shard FROM held)
      AND (SELECT epoch FROM epoch) = $5
      AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
      AND (SELECT set_config('lock_timeout', '50', true)) IS NOT NULL
"""
MAX_LEFT: Final = 10_000
"""The most locked rows that are remembered. A row that was forgotten costs one more wait for its
lock."""

# The same for rows and leases that are not locked; the rest is retried in the next cycle.
DELETE_FREE: Final = """
WITH held AS (
    SELECT l.shard FROM relay_leases l
         JOIN unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
              ON l.shard = mine.shard AND l.fence = mine.fence
    WHERE l.owner = $1
    ORDER BY l.shard FOR SHARE OF l SKIP LOCKED
)
DELETE FROM outbox o
WHERE o.id IN (SELECT id FROM outbox WHERE id = ANY($4::bigint[]) FOR UPDATE SKIP LOCKED)
      AND o.shard IN (SELECT shard FROM held) AND (SELECT epoch FROM epoch) = $5
"""

# The same fence, without waiting for locks. A row that was announced and cannot be published moves
# to the table for people in one statement, so it is always in one of the two tables.
SET_ASIDE: Final = """
WITH held AS (
    SELECT l.shard FROM relay_leases l
         JOIN unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
              ON l.shard = mine.shard AND l.fence = mine.fence
    WHERE l.owner = $1
    ORDER BY l.shard FOR SHARE OF l SKIP LOCKED
), gone AS (
    DELETE FROM outbox o USING unnest($4::bigint[], $5::text[]) AS s(id, reason)
    WHERE o.id IN (SELECT id FROM outbox WHERE id = ANY($4) FOR UPDATE SKIP LOCKED)
          AND o.id = s.id AND o.shard IN (SELECT shard FROM held) AND (SELECT epoch FROM epoch) = $6
    RETURNING o.id, o.shard, o.store_id, o.channels, o.seqs, o.committed_after, s.reason
)
INSERT INTO outbox_set_aside (id, shard, store_id, channels, seqs, committed_after, reason)
SELECT id, shard, store_id, channels, seqs, committed_after, reason FROM gone
ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, at = excluded.at
"""

# No lock; a range of ix_outbox_shard_id that is nearly always empty.
STRAYS: Final = """
SELECT id, store_id FROM outbox WHERE shard >= $1 ORDER BY id LIMIT $2
"""
# Row locks by primary key. The other shards have their own copies.
DROP_COPIES: Final = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE shard >= $1 AND store_id IS NULL ORDER BY id
    FOR UPDATE SKIP LOCKED LIMIT $2
)
"""
STRAYS_AT_ONCE: Final = 10_000
# Row locks by primary key.
REHOME: Final = """
UPDATE outbox o SET shard = s.shard FROM unnest($1::bigint[], $2::int[]) AS s(id, shard)
WHERE o.id = s.id AND o.shard >= $3
"""

# Row locks on this relay's own member row and leases, all by primary key; members that died long
# ago are removed by the relay that locks them first. If `renewed_at` lies more than a second ahead,
# the database's clock was set back (LOOK and CLAIM look at that). Live relays have renewed since
# then, so such a lease is of a dead relay. The second allows for small clock corrections.
BEAT: Final = """
WITH alive AS (
    INSERT INTO relay_members (relay, seen_at) VALUES ($1, now())
    ON CONFLICT (relay) DO UPDATE SET seen_at = excluded.seen_at
), gone AS (
    DELETE FROM relay_members WHERE relay IN (
        SELECT relay FROM relay_members
        WHERE relay <> $1 AND NOT seen_at BETWEEN now() - make_interval(secs => 10 * $2::float8)
            AND now() + make_interval(secs => 10 * $2::float8)
        FOR UPDATE SKIP LOCKED
    )
)
UPDATE relay_leases l
SET expires_at = now() + make_interval(secs => $2::float8), renewed_at = now()
FROM unnest($3::int[], $4::bigint[]) AS mine(shard, fence)
WHERE l.shard = mine.shard AND l.fence = mine.fence AND l.owner = $1
RETURNING l.shard
"""

# No lock; both tables are read whole, and have a row per relay and per shard. A row without a shard
# is a relay that is alive.
LOOK: Final = """
SELECT NULL::int, relay, NULL::bigint, NULL::float8 FROM relay_members
WHERE seen_at > now() - make_interval(secs => $1::float8) AND seen_at < now() + interval '1 s'
UNION ALL
SELECT shard, owner, fence, CASE WHEN renewed_at > now() + interval '1 s' THEN 0
    ELSE extract(epoch FROM expires_at - now()) END::float8 FROM relay_leases
"""

# Row locks by primary key, in order of shard. The condition is checked again under the row's lock,
# so of two relays that claim a lease one gets it, and with it a number that no owner had before.
CLAIM: Final = """
INSERT INTO relay_leases AS l (shard, owner, fence, expires_at, renewed_at)
SELECT s.shard, $1, 1, now() + make_interval(secs => $2::float8), now()
FROM unnest($3::int[]) AS s(shard) ORDER BY s.shard
ON CONFLICT (shard) DO UPDATE
    SET owner = excluded.owner, fence = l.fence + 1, expires_at = excluded.expires_at,
        renewed_at = excluded.renewed_at
    WHERE l.expires_at <= now() OR l.renewed_at > now() + interval '1 s'
RETURNING shard, fence
"""

# Row locks by primary key. The row and its fence stay: the next owner increments it.
RELEASE: Final = """
UPDATE relay_leases l SET expires_at = now()
FROM unnest($2::int[], $3::bigint[]) AS mine(shard, fence)
WHERE l.shard = mine.shard AND l.fence = mine.fence AND l.owner = $1
"""

LEAVE: Final = "DELETE FROM relay_members WHERE relay = $1"

# No lock; the count reads at most 100,001 index entries, the age the first of the primary key.
DEPTH: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT 100001) AS counted),
       (SELECT extract(epoch FROM now() - committed_after)::float8
        FROM outbox ORDER BY id LIMIT 1)
"""
