"""What protects from loss, each with the patches that take it out.

Some stand behind one another: what one lets pass the next one catches. Then all of them are taken
out. Where a fault must hit a moment of microseconds, the patch makes the moment longer, so that a
short run meets it; with the protection in its place, such a moment does no harm however long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.chaos.unprotected.tree import Patch


@dataclass(frozen=True, slots=True)
class Protection:
    """One protection, or several that stand behind one another."""

    what: str
    """What is taken out, for the report."""
    patches: tuple[Patch, ...]


_JUDGED: Final = """\
        if event.seq <= position:
            return Verdict.DUPLICATE
        return Verdict.APPLY if event.seq == position + 1 else Verdict.GAP
"""
_CLIENT_TAKES_GAPS: Final = Patch(
    "client_sdk/merge.py",
    "return Verdict.APPLY if event.seq == position + 1 else Verdict.GAP",
    "return Verdict.APPLY",
)
_CLIENT_TAKES_ALL: Final = Patch("client_sdk/merge.py", _JUDGED, "        return Verdict.APPLY\n")
_CLIENT_WAITS_FOR_EVER: Final = Patch(
    "client_sdk/settings.py", "watermark_timeout: float = 15.0", "watermark_timeout: float = 1e9"
)
_SERVER_PUSHES_GAPS: Final = Patch(
    "event_server/hub.py", "            if seq == audience.head + 1:\n", "            if seq > 0:\n"
)
_SERVER_PUSHES_DUPLICATES: Final = Patch(
    "event_server/hub.py", "                self.duplicates += 1\n                return\n",
    "                self.duplicates += 1\n",
)  # fmt: skip
_NEVER_DEGRADED: Final = Patch(
    "event_server/health.py",
    "self._degraded = lag is None or lag > limit",
    "self._degraded = False",
)
_NO_LOOK_AT_KAFKA: Final = Patch(
    "event_server/source.py",
    "await self._check(consumer, positions, heard, owed, now)",
    "pass",
)
_TRUSTING: Final = (_CLIENT_TAKES_GAPS, _SERVER_PUSHES_GAPS)
_KEY_PER_ATTEMPT: Final = Patch(
    "client_sdk/producer.py",
    "                response = await self._http.send(request)\n",
    '                request.headers["idempotency-key"] = self._new_key()\n'
    "                response = await self._http.send(request)\n",
)
_ANSWERED_LATE: Final = Patch(
    "core_api/commanding.py",
    "        _, (outcome,) = await self._writes.ask([Write(rows, shard, claim)])\n",
    "        _, (outcome,) = await self._writes.ask([Write(rows, shard, claim)])\n"
    '        await __import__("asyncio").sleep(0.5)\n',
)

IDEMPOTENCY: Final = Protection(
    "the producer sends a new key at each attempt (Core answers 0.5 s after its commit)",
    (_KEY_PER_ATTEMPT, _ANSWERED_LATE),
)
IDEMPOTENCY_IMPATIENT: Final = Protection(
    "the producer sends a new key at each attempt, and one every second",
    (_KEY_PER_ATTEMPT, Patch("client_sdk/producer.py", "timeout=20.0", "timeout=1.0")),
)
DELETE_AFTER_PUBLISH: Final = Protection(
    "the relay deletes 0.3 s before it publishes; event servers let gaps pass and never degrade, "
    "clients let gaps pass",
    (
        Patch(
            "core_api/relay.py",
            "        stored = await self._publish(turn.messages) if turn.messages else {}\n",
            "        stored = {s: len(messages) for s, messages in turn.messages.items()}\n"
            "        await self._settle(turn, stored, fences)\n"
            "        await asyncio.sleep(0.3)\n"
            "        if turn.messages:\n"
            "            await self._publish(turn.messages)\n",
        ),
        *_TRUSTING,
        _NEVER_DEGRADED,
    ),
)
COMMIT_AFTER_APPLY: Final = Protection(
    "ingest commits its offsets 1 s before it applies the commands",
    (
        Patch(
            "core_api/ingest.py",
            "        await self._applier.apply([_inbound(record) for record in records])\n",
            "        await consumer.commit({partition: records[-1].offset + 1})\n"
            "        await asyncio.sleep(1)\n"
            "        await self._applier.apply([_inbound(record) for record in records])\n",
        ),
    ),
)
INBOUND_KEYS: Final = Protection(
    "ingest does not heed the commands' keys (and commits 1 s after it applied)",
    (
        Patch(
            "core_api/inbound.py",
            "return Idempotency(self.subject, self.idempotency_key)",
            'return Idempotency(self.subject, str(__import__("uuid").uuid4()))',
        ),
        Patch(
            "core_api/ingest.py",
            "        await self._applier.apply([_inbound(record) for record in records])\n",
            "        await self._applier.apply([_inbound(record) for record in records])\n"
            "        await asyncio.sleep(1)\n",
        ),
    ),
)
COMES_BACK: Final = Protection(
    "the client neither takes a stream's end for one nor a silent stream for a failed one",
    (
        Patch(
            "client_sdk/machine.py",
            '        """The stream broke or could not be had."""\n',
            '        """The stream broke or could not be had."""\n        return\n',
        ),
        _CLIENT_WAITS_FOR_EVER,
    ),
)
TAKE_OVER: Final = Protection(
    "a lease that has run out cannot be claimed",
    (
        Patch(
            "core_api/storage/outbox.py",
            "    WHERE l.expires_at <= now()\n",
            "    WHERE false\n",
        ),
    ),
)
SILENCE_AT_CLIENT: Final = Protection(
    "a client never takes a watermark that stands still for a failure", (_CLIENT_WAITS_FOR_EVER,)
)
POLLING: Final = Protection(
    "a client never polls, however often its stream fails",
    (
        Patch(
            "client_sdk/conduct.py",
            'if self.state is State.POLLING or failure.kind == "busy" or enough:',
            "if self.state is State.POLLING:",
        ),
    ),
)
READY_WHEN_READY: Final = Protection(
    "the relay says that it is ready whatever its trouble is",
    (Patch("core_api/relay_main.py", "lambda: relay.trouble", "lambda: None"),),
)
CLEAN_STOP: Final = Protection(
    "the event server does not handle SIGTERM: no drain",
    (
        Patch(
            "event_server/serving.py",
            "            loop.add_signal_handler(number, self.stop)\n",
            "            pass\n",
        ),
    ),
)
DUPLICATES: Final = Protection(
    "event server and client let pass what they had before",
    (
        _SERVER_PUSHES_DUPLICATES,
        Patch(
            "event_server/hub.py",
            "            if seq == audience.head + 1:\n",
            "            if seq <= audience.head + 1:\n",
        ),
        _CLIENT_TAKES_ALL,
    ),
)
FENCE: Final = Protection(
    "the lease's number is not checked when the relay reads and renews",
    (
        Patch(
            "core_api/storage/outbox.py",
            "ON l.shard = mine.shard AND l.fence = mine.fence\n"
            "          AND l.owner = $1 AND l.expires_at > now()\n",
            "ON l.shard = mine.shard AND $1::text IS NOT NULL\n",
        ),
        Patch(
            "core_api/storage/outbox.py",
            "WHERE l.shard = mine.shard AND l.fence = mine.fence AND l.owner = $1\n"
            "RETURNING l.shard\n",
            "WHERE l.shard = mine.shard\nRETURNING l.shard\n",
        ),
    ),
)
DEGRADES: Final = Protection("event servers never degrade", (_NEVER_DEGRADED,))
LEAST_WATERMARK: Final = Protection(
    "the watermark is that of the newest partition, not of the oldest",
    (
        Patch(
            "event_server/hub.py", "        return min(watermark.", "        return max(watermark."
        ),
    ),
)
LOOKS_AT_KAFKA: Final = Protection(
    "event servers never degrade and never look whether Kafka still answers",
    (_NEVER_DEGRADED, _NO_LOOK_AT_KAFKA),
)
ANY_SILENCE: Final = Protection(
    "event servers never degrade nor look after Kafka, and clients trust a watermark that stands",
    (_NEVER_DEGRADED, _NO_LOOK_AT_KAFKA, _CLIENT_WAITS_FOR_EVER),
)
SESSION_END: Final = Protection(
    "the event server's guard at the end of a session",
    (
        Patch(
            "event_server/source.py",
            "            stopping = asyncio.ensure_future(consumer.stop())\n"
            "            await asyncio.wait({stopping}, timeout=_STOP_WITHIN_S)\n"
            "            stopping.cancel()\n"
            "            await asyncio.gather(stopping, return_exceptions=True)\n",
            "            await consumer.stop()\n",
        ),
    ),
)
TOPIC_GONE: Final = Protection(
    "ingest does not look whether its topic is still there",
    (
        Patch(
            "core_api/ingest.py",
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
            "core_api/storage/pool.py",
            "    OSError,\n    asyncio.TimeoutError,\n",
            "",
        ),
    ),
)
FULL_MAPPED: Final = Protection(
    "a full disk is not taken for an absent database",
    (
        Patch(
            "core_api/storage/pool.py",
            "    asyncpg.InsufficientResourcesError,",
            "    # asyncpg.InsufficientResourcesError,",
        ),
    ),
)
FOREIGN_SKIPPED: Final = Protection(
    "a record that cannot be read is not left out",
    (
        Patch(
            "event_server/intake.py",
            "        except (RecordError, FrameError) as error:\n",
            "        except ZeroDivisionError as error:\n",
        ),
    ),
)
TRIM_NOTICED: Final = Protection(
    "the event server goes on at whatever offset there is; it and the client let gaps pass",
    (
        Patch(
            "event_server/source.py",
            'auto_offset_reset="none"',
            'auto_offset_reset="latest"',
        ),
        *_TRUSTING,
    ),
)
NO_BLIND_WINDOW: Final = Protection(
    "what was written between sync and connect is not replayed, and the client lets gaps pass",
    (
        Patch(
            "event_server/hub.py",
            "                replay += map(self._frames.order, ring.after(position))\n",
            "                pass\n",
        ),
        _CLIENT_TAKES_GAPS,
    ),
)
CORE_DATABASE_CLOCK: Final = Protection(
    "tickets carry Core's own time, not the database's",
    (
        Patch(
            "core_api/fetch.py",
            "issued_at=moment.unix_s,",
            'issued_at=__import__("time").time(),',
        ),
    ),
)
RELAY_DATABASE_CLOCK: Final = Protection(
    "the watermark is the relay's own time, not the database's",
    (
        Patch(
            "core_api/storage/outbox.py",
            "return Reading(rows[0][0], rows[0][1], age, shards)",
            'return Reading(rows[0][0], __import__("time").time(), age, shards)',
        ),
    ),
)
EVENTS_DATABASE_CLOCK: Final = Protection(
    "the event server judges tickets by its own time, not the database's",
    (
        Patch(
            "event_server/streams.py",
            "accept(request, self._keys, time, self._placement)",
            'accept(request, self._keys, __import__("time").time(), self._placement)',
        ),
    ),
)
ORDER_BY_ID: Final = Protection(
    "the relay publishes by the events' time, once a second; event server and client let gaps pass",
    (
        Patch(
            "core_api/storage/outbox.py",
            "ORDER BY l.shard, o.id\n",
            "ORDER BY l.shard, e.occurred_at\n",
        ),
        Patch(
            "core_api/leases.py", "LONGEST_PAUSE_S: Final = 0.05", "LONGEST_PAUSE_S: Final = 1.0"
        ),
        Patch(
            "core_api/leases.py", "SHORTEST_PAUSE_S: Final = 0.002", "SHORTEST_PAUSE_S: Final = 1"
        ),
        Patch(
            "core_api/relay.py",
            '        """Something was committed: read now."""\n        self._wake.set()\n',
            '        """Something was committed: read now."""\n',
        ),
        *_TRUSTING,
    ),
)
SYNC_APPLIED: Final = Protection(
    "the client takes the ticket of a Fetch Sync, but not the events",
    (
        Patch(
            "client_sdk/merge.py",
            "    for event in answer.events:\n",
            "    if answer.reset is None and answer.events:\n"
            "        positions.move(answer.channel, answer.events[-1].seq)\n"
            "        return changes, True\n"
            "    for event in answer.events:\n",
        ),
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
ACKNOWLEDGED: Final = Protection(
    "the relay does not wait for Kafka's answer; event server and client let gaps pass",
    (
        Patch("core_api/publisher.py", "enable_idempotence=True", "acks=0"),
        *_TRUSTING,
    ),
)
