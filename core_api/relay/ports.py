"""The relay's ports to Postgres and Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from core_api.kafka.messages import Message, PublishResult
from core_api.relay.cycle import OutboxReading
from core_api.relay.leases import Lease

if TYPE_CHECKING:
    from core_api.relay.outbox import Depth


class OutboxPort(Protocol):
    """The outbox and its leases, as the relay needs them (`core_api/relay/outbox.py`)."""

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        """The first rows of each shard whose lease still holds; None if none does.

        Raises:
            UnreadableRowError: Postgres cannot read one of the rows.
        """

    async def name_first(self, fence: Mapping[int, int], fault: str) -> OutboxReading | None:
        """The first row of one shard without its event in the log, which cannot be read."""

    async def delete(self, fences: Mapping[int, int], ids: Sequence[int], epoch: str) -> int:
        """Delete published rows of shards whose lease is still ours.

        Args:
            fences: by shard, the fence of our lease; rows of other shards stay.
            ids: of the rows.
            epoch: that they were read in; after a new one has begun, all stay.

        Returns:
            How many were deleted. A row that is locked may stay.

        Raises:
            UnavailableError: Postgres does not answer, or answers with an error.
        """

    async def set_aside(
        self, fences: Mapping[int, int], reasons: Mapping[int, str], epoch: str
    ) -> int:
        """Set aside rows that cannot be published, of shards whose lease is still ours.

        Args:
            fences: by shard, the fence of our lease; rows of other shards stay.
            reasons: by a row's id, why it cannot be published.
            epoch: that they were read in; after a new one has begun, all stay.

        Returns:
            How many were set aside.

        Raises:
            UnavailableError: Postgres does not answer, or answers with an error.
        """

    async def rehome(self, partitions: int) -> int:
        """Move rows of shards that no longer exist to the shards that their stores have now."""

    async def beat(self, fences: Mapping[int, int]) -> set[int]:
        """Renew; the shards that are still ours."""

    async def look(self) -> tuple[set[str], list[Lease]]:
        """The relays that are alive, and all leases."""

    async def claim(self, shards: Sequence[int]) -> dict[int, int]:
        """Take free shards; the fence of each."""

    async def release(self, fences: Mapping[int, int]) -> None:
        """Give leases back."""

    async def leave(self) -> None:
        """Leave the list of relays that are alive."""

    async def depth(self) -> Depth:
        """How much waits."""


class Publisher(Protocol):
    """Kafka, as the relay needs it (`core_api/kafka/publisher.py`)."""

    async def open(self) -> None:
        """Connect, and compare the topic with the settings; do nothing if that is done."""

    async def send(
        self, parts: Mapping[int, Sequence[Message]]
    ) -> Mapping[int, asyncio.Future[PublishResult]]:
        """Send; for each partition, a future of the result."""

    async def close(self) -> None:
        """Close the connection."""


class RestoreGuard(Protocol):
    """Detects that the database went back in time (`core_api/restore/epoch_guard.py`)."""

    async def check_identity(self) -> None:
        """Begin a new epoch if this is neither the database that the epoch began in, nor a promoted
        standby of it that lacks nothing."""

    async def check_published(self, shards: Sequence[int]) -> None:
        """Begin a new epoch if these partitions have events that the database lacks.

        Raises:
            SettingsError: another installation writes to the topic.
        """
