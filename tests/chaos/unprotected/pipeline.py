"""The protections in Core, relay and ingest, and the patches that remove them."""

from __future__ import annotations

from typing import Final

from tests.chaos.unprotected.patches import (
    ANSWERED_LATE,
    KEY_PER_ATTEMPT,
    NEVER_DEGRADED,
    TRUSTING,
    Protection,
)
from tests.chaos.unprotected.tree import Patch

IDEMPOTENCY: Final = Protection(
    "the producer sends a new key at each attempt (Core answers 0.5 s after its commit)",
    (KEY_PER_ATTEMPT, ANSWERED_LATE),
)

IDEMPOTENCY_IMPATIENT: Final = Protection(
    "the producer sends a new key at each attempt, and one every second",
    (KEY_PER_ATTEMPT, Patch("client_sdk/client/producer.py", "timeout=20.0", "timeout=1.0")),
)

DELETE_AFTER_PUBLISH: Final = Protection(
    "the relay deletes 0.3 s before it publishes; event servers let gaps pass and never degrade, "
    "clients let gaps pass",
    (
        Patch(
            "core_api/relay/relay.py",
            "        await self._publish(cycle)\n",
            "        stored = {s: len(m) for s, m in cycle.messages.items()}\n"
            "        await self._sent._settle(cycle, stored, {s: held[s] for s in cycle.rows})\n"
            "        await asyncio.sleep(0.3)\n"
            "        await self._publish(cycle)\n",
        ),
        *TRUSTING,
        NEVER_DEGRADED,
    ),
)

_APPLY: Final = "        await self._applier.apply(commands)\n"

COMMIT_AFTER_APPLY: Final = Protection(
    "ingest commits its offsets 1 s before it applies the commands",
    (
        Patch(
            "core_api/ingest/consumer.py",
            _APPLY,
            "        await consumer.commit({partition: records[-1].offset + 1})\n"
            "        await asyncio.sleep(1)\n" + _APPLY,
        ),
    ),
)

INBOUND_KEYS: Final = Protection(
    "ingest does not heed the commands' keys (and commits 1 s after it applied)",
    (
        Patch(
            "core_api/ingest/inbound_commands.py",
            'return Idempotency(f"kafka/{self.subject}", self.idempotency_key)',
            'return Idempotency(f"kafka/{self.subject}", str(__import__("uuid").uuid4()))',
        ),
        Patch(
            "core_api/ingest/consumer.py",
            _APPLY,
            _APPLY + "        await asyncio.sleep(1)\n",
        ),
    ),
)

TAKE_OVER: Final = Protection(
    "a lease that has run out cannot be claimed",
    (
        Patch(
            "core_api/relay/outbox_statements.py",
            "    WHERE l.expires_at <= now() OR l.renewed_at > now() + interval '1 s'\n",
            "    WHERE false\n",
        ),
    ),
)

READY_WHEN_READY: Final = Protection(
    "the relay says that it is ready whatever its trouble is",
    (Patch("core_api/relay/main.py", "lambda: database.trouble or relay.trouble", "lambda: None"),),
)

FENCE: Final = Protection(
    "the lease's number is not checked when the relay reads and renews",
    (
        Patch(
            "core_api/relay/outbox_statements.py",
            "ON l.shard = mine.shard AND l.fence = mine.fence\n"
            "          AND l.owner = $1 AND l.expires_at > now()\n",
            "ON l.shard = mine.shard AND $1::text IS NOT NULL\n",
        ),
        Patch(
            "core_api/relay/outbox_statements.py",
            "WHERE l.shard = mine.shard AND l.fence = mine.fence AND l.owner = $1\n"
            "RETURNING l.shard\n",
            "WHERE l.shard = mine.shard\nRETURNING l.shard\n",
        ),
    ),
)

TOPIC_GONE: Final = Protection(
    "ingest does not look whether its topic is still there",
    (
        Patch(
            "core_api/ingest/consumer.py",
            "                if self._topic.name not in await consumer.topics():\n",
            "                if False:\n",
        ),
    ),
)

DURABLE: Final = Protection(
    "PostgreSQL without `fsync` and synchronous commit",
    (Patch("deploy/local/postgres.py", "durable: bool = True", "durable: bool = False"),),
)

UNREACHABLE_MAPPED: Final = Protection(
    "connections refused and statements timed out are not taken for an absent database",
    (
        Patch(
            "core_api/postgres/pool.py",
            "    OSError,\n    asyncio.TimeoutError,\n",
            "",
        ),
    ),
)

FULL_MAPPED: Final = Protection(
    "a full disk is not taken for an absent database",
    (
        Patch(
            "core_api/postgres/errors.py",
            '    "53": (Meaning.ABSENT, "it has no connections, memory or disk left"),',
            '    "none": (Meaning.ABSENT, "it has no connections, memory or disk left"),',
        ),
    ),
)

CORE_DATABASE_CLOCK: Final = Protection(
    "tickets carry Core's own time, not the database's",
    (
        Patch(
            "core_api/sync/stream_grants.py",
            "issued_at=moment.unix_s,",
            'issued_at=__import__("time").time(),',
        ),
    ),
)

_WAITING: Final = (
    "    SELECT id, store_id, placed_at FROM orders\n"
    "    WHERE status = 'placed' AND status NOT IN ('rejected', 'paid', 'cancelled')\n"
    "        AND placed_at < now()"
)

ALARM_DATABASE_CLOCK: Final = Protection(
    "the alarm reckons from Core's time of an order, not the database's",
    (
        Patch(
            "core_api/receipts/statements.py",
            _WAITING,
            _WAITING.replace("placed_at FROM", "created_at AS placed_at FROM").replace(
                "AND placed_at <", "AND created_at <"
            ),
        ),
    ),
)

RELAY_DATABASE_CLOCK: Final = Protection(
    "the watermark is the relay's own time, not the database's",
    (
        Patch(
            "core_api/relay/outbox.py",
            "return OutboxReading(rows[0][0], rows[0][1], age, shards)",
            'return OutboxReading(rows[0][0], __import__("time").time(), age, shards)',
        ),
    ),
)

ORDER_BY_ID: Final = Protection(
    "the relay publishes by the events' time, once a second; event server and client let gaps pass",
    (
        Patch(
            "core_api/relay/outbox_statements.py",
            "ORDER BY l.shard, o.id\n",
            "ORDER BY l.shard, e.occurred_at\n",
        ),
        Patch(
            "core_api/relay/pacing.py",
            "LONGEST_PAUSE_S: Final = 0.05",
            "LONGEST_PAUSE_S: Final = 1.0",
        ),
        Patch(
            "core_api/relay/pacing.py",
            "SHORTEST_PAUSE_S: Final = 0.002",
            "SHORTEST_PAUSE_S: Final = 1",
        ),
        Patch(
            "core_api/relay/relay.py",
            "        self._hint_came = True\n        self._wake.set()\n",
            "        self._hint_came = True\n",
        ),
        *TRUSTING,
    ),
)

NEW_EPOCH: Final = Protection(
    "no new epoch after a restore",
    (
        Patch(
            "tests/chaos/scenarios/times.py",
            '    await aside(lambda: site.stack.run("new-epoch", ["db", "new-epoch"]))\n',
            "",
        ),
    ),
)

PROMOTIONS_JUDGED: Final = Protection(
    "each promotion begins a new epoch",
    (
        Patch(
            "core_api/restore/epoch_guard.py",
            "        doubt = doubt_without_kafka(lineage)\n",
            '        doubt: str | None = "it was promoted"\n',
        ),
    ),
)

LATE_FOUND_OUT: Final = Protection(
    "a standby that was promoted is taken for the primary that it followed",
    (
        Patch(
            "core_api/restore/epoch_guard.py",
            "        doubt = doubt_without_kafka(lineage)\n",
            "        doubt: str | None = None\n",
        ),
        Patch(
            "core_api/restore/epoch_guard.py",
            "        lacking = await self._lacking(lineage, tail)\n",
            "        lacking: list[str] = []\n",
        ),
        Patch(
            "core_api/restore/epoch_guard.py",
            "        found = await self._missing(lineage, tail)\n",
            "        found: list[str] = []\n",
        ),
    ),
)

METADATA: Final = Protection(
    "the relay's producer does not ask anew who leads a partition",
    (
        Patch(
            "core_api/kafka/batch_producer.py",
            "                partitions = len(await producer.partitions_for(self._topic))\n",
            "                partitions = len(await producer.partitions_for(self._topic))\n"
            "                known = asyncio.get_running_loop().create_future()\n"
            "                known.set_result(True)\n"
            "                producer.client.force_metadata_update = lambda: known\n",
        ),
    ),
)
