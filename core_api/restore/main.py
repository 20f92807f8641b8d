"""Wires new epochs after a restore, and the check whether one is due."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core_api.ids import next_epoch
from core_api.postgres.pool import Primary, any_error_mapped
from core_api.restore.detection import LastPublished, Lineage, StoredLineage, newest_of, signs
from core_api.restore.lineage import (
    PostgresConnection,
    adopt,
    leave_witness,
    read_lineage,
    read_stored,
    start_epoch,
)
from core_api.restore.published_records import PublishedTail, read_published
from server_common.kafka.connection import Kafka

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool
    from core_api.settings import RestoreSettings

_ENTROPY_BYTES: Final = 10
_RECORDS_AT_ONCE: Final = 40_000
"""How many records a relay reads, over all partitions, before it publishes in them."""
_FEWEST_RECORDS: Final = 500


def epoch_after(*epochs: str) -> str:
    """A fresh epoch, later than all of these."""
    now_ms = time.time_ns() // 1_000_000
    return next_epoch(max(epochs), now_ms, secrets.token_bytes(_ENTROPY_BYTES))


async def begin_epoch(settings: RestoreSettings) -> str:
    """`yabam db new-epoch`: later than the present epoch, and than any that Kafka has.

    Raises:
        BrokerError: Kafka is named in the settings and does not answer.
    """
    beyond = (await _read_tail(settings)).epoch
    async with _connected(settings.session_url) as connection:
        epoch = await start_epoch(connection, lambda present: epoch_after(present, beyond))
    assert epoch is not None  # noqa: S101 (any present epoch was right)
    return epoch


async def look_for_restore(settings: RestoreSettings) -> list[str]:
    """The signs that the database went back in time."""
    tail = await _read_tail(settings)
    async with _connected(settings.session_url) as connection:
        lineage = await read_lineage(connection)
        published = newest_of(tail.orders, lineage.epoch)
        stored = await read_stored(connection, published, lineage.identity)
    watermark = tail.watermarks.get(lineage.epoch, 0.0)
    found = list(signs(lineage, watermark, published, stored))
    if tail.epoch > lineage.epoch:
        found.append(f"Kafka has epoch {tail.epoch}, later than the database's {lineage.epoch}")
    return found


@dataclass(frozen=True, slots=True)
class RelayLog:
    """The database and the topic of a relay: what its `LifetimeGuard` looks at.

    Args:
        pool: connections to Postgres.
        kafka: the cluster.
        topic: where events are published.
        lease_s: how long a lease holds, in seconds.
    """

    pool: Pool
    kafka: Kafka
    topic: str
    lease_s: float

    async def lineage(self) -> Lineage:
        """See `LogPort`."""
        async with _of(self.pool) as connection:
            return await read_lineage(connection)

    async def leave_witness(self) -> Lineage:
        """See `LogPort`."""
        async with _of(self.pool) as connection:
            # A lease is renewed some time after the look, later if CPU is short.
            return await leave_witness(connection, 2 * self.lease_s)

    async def tail(self, partitions: Collection[int]) -> PublishedTail:
        """See `LogPort`."""
        most = max(_FEWEST_RECORDS, _RECORDS_AT_ONCE // len(partitions))
        return await read_published(self.kafka, self.topic, partitions, most)

    async def stored(
        self, published: Mapping[str, LastPublished], identity: str
    ) -> dict[str, StoredLineage]:
        """See `LogPort`."""
        async with _of(self.pool) as connection:
            return await read_stored(connection, published, identity)

    async def begin(self, judged: str, beyond: str, moved: Lineage | None = None) -> str | None:
        """See `LogPort`.

        Args:
            judged, beyond, moved: as for `LogPort.begin`.
        """
        async with _of(self.pool) as connection:
            return await start_epoch(
                connection, lambda now: epoch_after(now, beyond), judged, moved
            )

    async def adopt(self, lineage: Lineage) -> bool:
        """See `LogPort`."""
        async with _of(self.pool) as connection:
            return await adopt(connection, lineage)


async def _read_tail(settings: RestoreSettings) -> PublishedTail:
    if not settings.kafka:
        return PublishedTail()
    return await read_published(settings.cluster, settings.events_topic, range(settings.partitions))


@contextlib.asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[PostgresConnection]:
    connection = await Primary(database_url).connect()
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _of(pool: Pool) -> AsyncIterator[PostgresConnection]:
    with any_error_mapped():
        async with pool.acquire() as connection:
            yield connection
