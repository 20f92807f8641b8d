"""All protections from loss, each with the patches that remove it.

If several protections do the same work one after the other, all of them are removed. If a fault
must happen within microseconds, the patch makes that time longer, so that it happens in a short
run. With the protection, such a time does no harm, however long it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.chaos.unprotected.tree import Patch


@dataclass(frozen=True, slots=True)
class Protection:
    """One protection, or several of which each can do the work of the others."""

    what: str
    """What is removed, for the report."""
    patches: tuple[Patch, ...]


_JUDGED: Final = """\
        if event.seq <= position:
            return Verdict.DUPLICATE
        return Verdict.APPLY if event.seq == position + 1 else Verdict.GAP
"""
CLIENT_TAKES_GAPS: Final = Patch(
    "client_sdk/machine/sequencing.py",
    "return Verdict.APPLY if event.seq == position + 1 else Verdict.GAP",
    "return Verdict.APPLY",
)
CLIENT_TAKES_ALL: Final = Patch(
    "client_sdk/machine/sequencing.py", _JUDGED, "        return Verdict.APPLY\n"
)
CLIENT_WAITS_FOR_EVER: Final = Patch(
    "client_sdk/settings.py", "watermark_timeout: float = 15.0", "watermark_timeout: float = 1e9"
)
SERVER_PUSHES_GAPS: Final = Patch(
    "event_server/replay/hub.py",
    "            if seq == audience.head + 1:\n",
    "            if seq > 0:\n",
)
SERVER_PUSHES_DUPLICATES: Final = Patch(
    "event_server/replay/hub.py",
    "                self._count_again(channel)\n                return\n",
    "                self._count_again(channel)\n",
)
NEVER_DEGRADED: Final = Patch(
    "event_server/streams/health.py",
    "self._degraded = lag is None or lag > limit",
    "self._degraded = False",
)
NO_LOOK_AT_KAFKA: Final = Patch(
    "event_server/kafka/consumer.py",
    "await check.look(now)",
    "pass",
)
SERVER_READS_ANY_LOG: Final = Patch(
    "event_server/kafka/record_reader.py",
    "        elif sent or continuity.expected is None:\n",
    "        elif continuity.expected is None:\n",
)
TRUSTING: Final = (CLIENT_TAKES_GAPS, SERVER_PUSHES_GAPS, SERVER_READS_ANY_LOG)
KEY_PER_ATTEMPT: Final = Patch(
    "client_sdk/client/producer.py",
    "                return await answer_of(self._http, request, MAX_ANSWER_BYTES)\n",
    '                request.headers["idempotency-key"] = self._new_key()\n'
    "                return await answer_of(self._http, request, MAX_ANSWER_BYTES)\n",
)
ANSWERED_LATE: Final = Patch(
    "core_api/orders/service.py",
    "        result = await self._writes.ask(OrderWrite(rows, shard, claim, rules))\n",
    "        result = await self._writes.ask(OrderWrite(rows, shard, claim, rules))\n"
    '        await __import__("asyncio").sleep(0.5)\n',
)
