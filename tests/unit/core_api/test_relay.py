"""The relay says that it works only once the database has said so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from core_api.errors import UnavailableError
from core_api.kafka.messages import Message, PublishResult
from core_api.kafka.topics import BrokerError
from core_api.relay.cycle import OutboxReading, OutboxRow
from core_api.relay.leases import Lease
from core_api.relay.metrics import RelayMetrics
from core_api.relay.outbox import Depth
from core_api.relay.relay import Relay

Parts = Mapping[int, Sequence[Message]]
Answers = dict[int, "asyncio.Future[PublishResult]"]


class AwayThenThere:
    """A database that refuses its first questions and has no work for anybody."""

    def __init__(self, refusals: int, answered: asyncio.Event) -> None:
        self._refusals = refusals
        self._answered = answered
        self.troubles: list[str | None] = []
        self.relay: Relay | None = None

    async def beat(self, fences: Mapping[int, int]) -> set[int]:
        assert self.relay is not None
        self.troubles.append(self.relay.trouble)
        if self._refusals:
            self._refusals -= 1
            raise UnavailableError("the database does not answer")
        return set(fences)

    async def look(self) -> tuple[set[str], list[Lease]]:
        return {"me"}, []

    async def claim(self, shards: Sequence[int]) -> dict[int, int]:
        return {}

    async def depth(self) -> Depth:
        self._answered.set()
        return Depth(0, 0.0)

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        return None

    async def name_first(self, fence: Mapping[int, int], fault: str) -> OutboxReading | None:
        return None

    async def delete(self, fences: Mapping[int, int], ids: Sequence[int], epoch: str) -> int:
        return 0

    async def set_aside(
        self, fences: Mapping[int, int], reasons: Mapping[int, str], epoch: str
    ) -> int:
        return 0

    async def rehome(self, partitions: int) -> int:
        return 0

    async def release(self, fences: Mapping[int, int]) -> None:
        return None

    async def leave(self) -> None:
        return None


class Nothing:
    """A Kafka that is not asked."""

    async def open(self) -> None:
        return None

    async def send(self, parts: Parts) -> Answers:
        raise AssertionError(parts)

    async def close(self) -> None:
        return None


class Unchanged:
    """A database that never went back."""

    async def check_identity(self) -> None:
        return None

    async def check_published(self, shards: Sequence[int]) -> None:
        return None


async def test_a_relay_without_a_database_is_in_trouble_until_the_database_answers() -> None:
    answered = asyncio.Event()
    shelf = AwayThenThere(3, answered)
    loop = asyncio.get_running_loop()
    relay = shelf.relay = Relay(
        shelf,
        Nothing(),
        Unchanged(),
        relay_id="me",
        partitions=4,
        lease_ttl_s=5.0,
        clock=loop.time,
        metrics=RelayMetrics(CollectorRegistry()),
    )
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(5):
        await answered.wait()
    assert len(shelf.troubles) == 4
    assert all(shelf.troubles)
    async with asyncio.timeout(5):
        while relay.trouble is not None:  # noqa: ASYNC110 (the relay tells nobody)
            await asyncio.sleep(0)
    relay.stop()
    await running


class OneShard(AwayThenThere):
    """A database that lets this relay own shard 0 and has one row for it, again and again."""

    claims = 0

    async def claim(self, shards: Sequence[int]) -> dict[int, int]:
        self.claims += 1
        return {0: 1}

    async def look(self) -> tuple[set[str], list[Lease]]:
        return {"me"}, [Lease(0, "me", 1, 5.0)] if self.claims else []

    async def read(self, fences: Mapping[int, int], rows_per_shard: int) -> OutboxReading | None:
        row = OutboxRow(1, "12", "order.placed", "now", ("store:12@1",), (b"{}",))
        return OutboxReading("E1", 1000.0, 0.0, {0: [row]})


class Doubtful:
    """A Kafka whose second answer gets lost."""

    def __init__(self, relay_done: int) -> None:
        self.sent: list[bytes | None] = []
        self.relay: Relay | None = None
        self._done = relay_done

    async def open(self) -> None:
        return None

    async def send(self, parts: Parts) -> Answers:
        return {0: asyncio.ensure_future(self._take(parts))}

    async def _take(self, parts: Parts) -> PublishResult:
        await asyncio.sleep(0)
        self.sent += [dict(message.headers)["sent"] for message in parts[0][:1]]
        if len(self.sent) == self._done:
            assert self.relay is not None
            self.relay.stop()
        if len(self.sent) == 2:
            raise BrokerError("the answer is lost")
        return PublishResult({0: 1})

    async def close(self) -> None:
        return None


async def test_records_are_numbered_anew_once_it_is_not_certain_what_is_stored() -> None:
    kafka, names = Doubtful(4), iter(["one", "two", "three"])
    shelf = OneShard(0, asyncio.Event())
    relay = shelf.relay = kafka.relay = Relay(
        shelf,
        kafka,
        Unchanged(),
        relay_id="me",
        partitions=1,
        lease_ttl_s=5.0,
        clock=asyncio.get_running_loop().time,
        metrics=RelayMetrics(CollectorRegistry()),
        new_run=lambda: next(names),
    )
    async with asyncio.timeout(20):
        await relay.run()
    assert shelf.claims == 1, "it is the same lease all the time"
    assert kafka.sent == [b"one.0", b"one.1", b"two.0", b"two.1"]
