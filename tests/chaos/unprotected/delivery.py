"""The protections in the event server and in the client, and the patches that remove them."""

from __future__ import annotations

from typing import Final

from tests.chaos.unprotected.patches import (
    CLIENT_TAKES_ALL,
    CLIENT_TAKES_GAPS,
    CLIENT_WAITS_FOR_EVER,
    NEVER_DEGRADED,
    NO_LOOK_AT_KAFKA,
    SERVER_PUSHES_DUPLICATES,
    TRUSTING,
    Protection,
)
from tests.chaos.unprotected.tree import Patch

COMES_BACK: Final = Protection(
    "the client neither takes a stream's end for one nor a silent stream for a failed one",
    (
        Patch(
            "client_sdk/machine/sync_connect_or_poll.py",
            '        signal: how it failed.\n    """\n',
            '        signal: how it failed.\n    """\n    return\n',
        ),
        CLIENT_WAITS_FOR_EVER,
    ),
)

SILENCE_AT_CLIENT: Final = Protection(
    "a client never takes a watermark that stands still for a failure", (CLIENT_WAITS_FOR_EVER,)
)

POLLING: Final = Protection(
    "a client never polls, however often its stream fails",
    (
        Patch(
            "client_sdk/machine/sync_connect_or_poll.py",
            'if client.state is State.POLLING or failure.kind == "busy" or enough:',
            "if client.state is State.POLLING:",
        ),
    ),
)

CLEAN_STOP: Final = Protection(
    "the event server does not handle SIGTERM: no drain",
    (
        Patch(
            "event_server/http/server.py",
            "        with at_stop_signals(lambda _number: self.stop()):\n            yield\n",
            "        yield\n",
        ),
    ),
)

DUPLICATES: Final = Protection(
    "event server and client let pass what they had before",
    (
        SERVER_PUSHES_DUPLICATES,
        Patch(
            "event_server/replay/hub.py",
            "            if seq == audience.head + 1:\n",
            "            if seq <= audience.head + 1:\n",
        ),
        CLIENT_TAKES_ALL,
    ),
)

DEGRADES: Final = Protection("event servers never degrade", (NEVER_DEGRADED,))

LEAST_WATERMARK: Final = Protection(
    "the lag is that of the newest partition, not of the oldest",
    (
        Patch(
            "event_server/replay/hub.py",
            "watermark, time = self.watermark, self.clock.estimate(now)",
            "watermark = max((m.highest for m in self._watermarks.values()), default=None)\n"
            "        time = self.clock.estimate(now)",
        ),
    ),
)
LOOKS_AT_KAFKA: Final = Protection(
    "event servers never degrade and never look whether Kafka still answers",
    (NEVER_DEGRADED, NO_LOOK_AT_KAFKA),
)

ANY_SILENCE: Final = Protection(
    "event servers never degrade nor look after Kafka, and clients trust a watermark that stands",
    (NEVER_DEGRADED, NO_LOOK_AT_KAFKA, CLIENT_WAITS_FOR_EVER),
)

SESSION_END: Final = Protection(
    "the event server's guard at the end of a session",
    (
        Patch(
            "event_server/kafka/consumer.py",
            "            await stop_consumer(consumer, _STOP_WITHIN_S)\n",
            "            await consumer.stop()\n",
        ),
    ),
)

FOREIGN_SKIPPED: Final = Protection(
    "a record that cannot be read is not left out",
    (
        Patch(
            "event_server/kafka/record_reader.py",
            '            self._skipped("foreign", str(error))\n',
            "            raise\n",
        ),
    ),
)

EDITS_KEPT: Final = Protection(
    "edits that wait are not kept on the disk",
    (
        Patch(
            "client_sdk/state/store.py",
            'return "INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?, ?, ?, ?)", values',
            'return "SELECT ?, ?, ?, ?, ?, ?, ?", values',
        ),
    ),
)

ROWS_SET_ASIDE: Final = Protection(
    "what is no JSON is given as it is, a document that cannot be read fails all of its request, "
    "and ingest waits for all partitions",
    (
        Patch("core_api/sync/service.py", "        if not is_json(body):\n", "        if False:\n"),
        Patch(
            "core_api/edits/service.py",
            "            damaged = await unreadable_documents(self._pool, _names(requests))\n",
            "            raise error\n",
        ),
        Patch(
            "core_api/ingest/under_way.py",
            "            await asyncio.wait([one.task for one in fresh], timeout=ROUND_S)\n",
            "            await asyncio.wait([one.task for one in fresh])\n",
        ),
    ),
)

TRIM_NOTICED: Final = Protection(
    "the event server goes on at whatever offset there is; it and the client let gaps pass",
    (
        Patch(
            "event_server/kafka/consumer.py",
            'auto_offset_reset="none"',
            'auto_offset_reset="latest"',
        ),
        *TRUSTING,
    ),
)

NO_BLIND_WINDOW: Final = Protection(
    "what was written between sync and connect is not replayed, and the client lets gaps pass",
    (
        Patch(
            "event_server/replay/hub.py",
            "                replay += map(self._frames.event, ring.after(position))\n",
            "                pass\n",
        ),
        CLIENT_TAKES_GAPS,
    ),
)

EVENTS_DATABASE_CLOCK: Final = Protection(
    "the event server judges tickets by its own time, not the database's",
    (
        Patch(
            "event_server/streams/registry.py",
            "accept(request, self._keys, time, self._placement)",
            'accept(request, self._keys, __import__("time").time(), self._placement)',
        ),
    ),
)

SYNC_APPLIED: Final = Protection(
    "the client takes the ticket of a Fetch Sync, but not the events",
    (
        Patch(
            "client_sdk/machine/sequencing.py",
            "    for event in answer.events:\n",
            "    if answer.reset is None and answer.events:\n"
            "        positions.move(answer.channel, answer.events[-1].seq)\n"
            "        return changes, True\n"
            "    for event in answer.events:\n",
        ),
    ),
)
