"""The relay's part: each revocation becomes a record that event servers read.

Published at least once, by the first relay that comes to it; a repeat has no further effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from core_api.errors import UnavailableError
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError
from core_api.postgres.pool import Pool
from core_api.revocations.statements import note_told, read_untold
from server_common.logs import get_logger
from server_common.revocations.records import encode_revocation

_log = get_logger()

_LOOK_EVERY_S: Final = 1.0
_ANSWER_WITHIN_S: Final = 2.0
_PAGE: Final = 500
_PARTITION: Final = 0


class Teller:
    """Publishes revocations to event servers.

    Args:
        pool: the database.
        publisher: the topic; nobody else sends by it.
        now_ms: milliseconds since the Unix epoch.
    """

    def __init__(self, pool: Pool, publisher: KafkaPublisher, now_ms: Callable[[], int]) -> None:
        self._pool = pool
        self._publisher = publisher
        self._now_ms = now_ms
        self._under_way: tuple[asyncio.Task[PublishResult], Sequence[int]] | None = None

    async def run(self) -> None:
        """Publish until cancelled."""
        reason = None
        try:
            while True:
                try:
                    await self.tell()
                    reason = None
                except UnavailableError as error:
                    if str(error) != reason:
                        _log.warning("revocations_not_told", reason=str(error))
                    reason = str(error)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._under_way = None
            await self._publisher.close()

    async def tell(self) -> None:
        """Publish the revocations that are not published yet.

        Raises:
            UnavailableError: Postgres or Kafka does not answer; the rest is published by a later
                call.
        """
        # The topic is created before the first revocation, as event servers wait for it.
        await self._publisher.open()
        while self._under_way is not None or await self._send():
            await self._settle()

    async def _send(self) -> bool:
        """Send the next unpublished rows. Returns whether there were any."""
        untold = await read_untold(self._pool, _PAGE)
        if not untold:
            return False
        at = self._now_ms()
        messages = [Message(None, encode_revocation(one), [], at) for _, one in untold]
        sent = await self._publisher.send({_PARTITION: messages})
        self._under_way = sent[_PARTITION], [row_id for row_id, _ in untold]
        return True

    async def _settle(self) -> None:
        assert self._under_way is not None  # noqa: S101
        task, ids = self._under_way
        done, _ = await asyncio.wait({task}, timeout=_ANSWER_WITHIN_S)
        if not done:
            raise BrokerError("Kafka has not stored the revocations")
        self._under_way = None
        result = task.result()
        if refused := result.refused.get(_PARTITION):
            raise BrokerError(f"Kafka refuses the revocations: {refused.reason}")
        await note_told(self._pool, ids[: result.stored.get(_PARTITION, 0)])
