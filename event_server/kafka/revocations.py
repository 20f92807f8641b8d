"""Reads what Core has revoked: all that the topic holds, and then what comes.

While Kafka does not give it, streams go on, and each ends by its own lifetime.
"""

from __future__ import annotations

import time

from client_sdk.contract.errors import RecordError
from event_server.kafka.side_topics import again_and_again, read_topic
from event_server.metrics import REVOCATIONS
from event_server.streams.signed_out import SignedOut
from server_common.kafka.connection import Kafka
from server_common.logs import get_logger
from server_common.revocations.records import decode_revocation

_log = get_logger()


class RevocationReader:
    """The task that reads them.

    Args:
        kafka: the cluster.
        topic: where relays write them.
        signed_out: is told of each.
    """

    def __init__(self, kafka: Kafka, topic: str, signed_out: SignedOut) -> None:
        self._kafka = kafka
        self._topic = topic
        self._signed_out = signed_out
        self._told: set[str] = set()

    async def run(self) -> None:
        """Read, for ever."""
        await again_and_again(
            REVOCATIONS, lambda: read_topic(self._kafka, self._topic, "earliest", self._take)
        )

    def _take(self, value: bytes | None) -> None:
        try:
            revocation = decode_revocation(value)
        except RecordError as error:
            self._say_once("revocation_malformed", str(error))
            return
        if not self._signed_out.add(revocation, time.monotonic()):
            self._say_once("revocations_full", "no further one is remembered until some are old")

    def _say_once(self, event: str, reason: str) -> None:
        if event not in self._told:
            self._told.add(event)
            _log.error(event, told="once", topic=self._topic, reason=reason)
