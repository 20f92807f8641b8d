"""When a relay begins a new epoch by itself, and when it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import pytest
from structlog.testing import capture_logs

from core_api.errors import UnavailableError
from core_api.kafka.topics import BrokerError
from core_api.restore.detection import LastPublished, Lineage, StoredLineage, Witness
from core_api.restore.epoch_guard import LifetimeGuard, SharedTopicError
from core_api.restore.published_records import PublishedTail
from server_common.kafka_records.events import OrderRecord

LINE = b'{"order_id":"a","order_version":3}'


class World:
    """A database and a topic, each in an epoch."""

    def __init__(self, database: str, topic: str) -> None:
        self.database, self.topic = database, topic
        self.published: list[OrderRecord] = []
        self.watermarks: dict[str, float] = {}
        self.head = 0
        self.born_in, self.identity = "7/1/5", "7/1/5"
        self.witness: Witness | None = None
        self.flushed: int | None = 500
        self.is_away = False
        self.left_in: list[str] = []
        self.begun = self.adopted = self.asked_kafka = 0
        self.while_kafka_tells: Callable[[], Awaitable[object]] | None = None

    async def lineage(self) -> Lineage:
        return Lineage(
            self.database,
            self.born_in,
            self.identity,
            self.witness,
            1_000.0,
            flushed=self.flushed,
        )

    async def leave_witness(self) -> Lineage:
        if self.born_in == self.identity:
            self.left_in.append(self.identity)
        return await self.lineage()

    async def tail(self, _partitions: Collection[int]) -> PublishedTail:
        self.asked_kafka += 1
        if self.while_kafka_tells is not None:
            await self.while_kafka_tells()
        return PublishedTail(self.topic, self.published, self.watermarks)

    async def stored(
        self, published: Mapping[str, LastPublished], identity: str
    ) -> dict[str, StoredLineage]:
        if identity != self.identity:
            raise UnavailableError("another database answers")
        return {channel: StoredLineage(self.head, 0, None) for channel in published}

    async def begin(self, judged: str, beyond: str, moved: Lineage | None = None) -> str | None:
        if self.is_away:
            raise UnavailableError("it is away")
        if judged != self.database:
            return None
        if moved and (moved.born_in, moved.identity) != (self.born_in, self.identity):
            return None
        self.database = max(judged, beyond) + "+"
        self.born_in = self.identity
        return self.database

    async def adopt(self, lineage: Lineage) -> bool:
        if self.born_in == lineage.identity:
            return False
        self.born_in = lineage.identity
        return True

    def count(self) -> None:
        self.begun += 1

    def count_adopted(self) -> None:
        self.adopted += 1

    def guard(self) -> LifetimeGuard:
        return LifetimeGuard(self, 1, self.count, self.count_adopted)

    def promote(self, *, is_replicated: bool) -> None:
        """The standby takes over; it was looked at 10 s ago."""
        self.identity = "7/2/5"
        self.witness = Witness(990.0, 995.0, is_replicated)
        self.watermarks = {self.database: 994.0}


async def test_a_topic_with_a_later_epoch_gets_one_that_is_later_still() -> None:
    world = World("E1", "E5")
    await world.guard().check_published([0])
    assert (world.database, world.begun) == ("E5+", 1)


async def test_a_topic_that_has_a_later_one_again_has_another_writer_and_no_other_is_begun() -> (
    None
):
    world = World("E1", "E5")
    guard = world.guard()
    await guard.check_published([0])
    world.topic = "E6"
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(SharedTopicError, match=r"another installation.*YABAM_EVENTS_TOPIC"):
                await guard.check_published([0])
    assert (world.database, world.begun) == ("E5+", 1)
    assert [line["event"] for line in logs] == ["topic_has_another_writer"] * 3


async def test_an_epoch_that_a_person_begins_then_ends_that() -> None:
    world = World("E1", "E5")
    guard = world.guard()
    await guard.check_published([0])
    world.topic, world.database = "E6", "E7"
    await guard.check_published([0])
    assert world.begun == 1


async def test_a_database_that_is_restored_again_to_before_gets_a_new_epoch_again() -> None:
    world = World("E1", "E5")
    guard = world.guard()
    await guard.check_published([0])
    world.topic, world.database = "E5+", "E1"
    await guard.check_published([0])
    assert (world.database, world.begun) == ("E5++", 2)


async def test_a_promoted_standby_that_lacks_nothing_goes_on_in_its_epoch() -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    guard = world.guard()
    with capture_logs() as logs:
        await guard.check_identity()
        await guard.check_identity()
    assert (world.database, world.born_in, world.adopted, world.begun) == ("E1", "7/2/5", 1, 0)
    assert [line["event"] for line in logs] == ["standby_promoted"]


async def test_who_lets_an_epoch_go_on_leaves_a_witness_before_anything_is_published() -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    await world.guard().check_identity()
    assert world.left_in == ["7/2/5"]


async def test_a_promoted_standby_that_commits_did_not_wait_for_begins_an_epoch_without_kafka() -> (
    None
):
    world = World("E1", "E1")
    world.promote(is_replicated=False)
    await world.guard().check_identity()
    assert (world.database, world.adopted, world.asked_kafka) == ("E1+", 0, 0)


async def test_a_promoted_standby_that_lacks_what_was_published_begins_an_epoch() -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    world.published = [OrderRecord("E1", "order.changed", "now", ("store:1@9",), (LINE,))]
    world.head = 8
    with capture_logs() as logs:
        await world.guard().check_identity()
    assert (world.database, world.adopted) == ("E1+", 0)
    assert "store:1@9 was published, and the head is 8" in logs[0]["signs"]


async def test_a_promoted_standby_from_before_a_later_epoch_begins_one_later_still() -> None:
    world = World("E1", "E5")
    world.promote(is_replicated=True)
    await world.guard().check_identity()
    assert (world.database, world.adopted) == ("E5+", 0)


async def test_a_relay_that_judges_late_ends_no_epoch_that_another_has_let_go_on() -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    first, late = world.guard(), world.guard()

    async def publish_more() -> None:
        world.while_kafka_tells = None
        await first.check_identity()
        world.watermarks = {"E1": 999.0}

    world.while_kafka_tells = publish_more
    await late.check_identity()
    assert (world.database, world.adopted, world.begun) == ("E1", 1, 0)


async def test_a_kafka_that_hangs_holds_up_no_relay_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    world.while_kafka_tells = asyncio.Event().wait
    monkeypatch.setattr("core_api.restore.epoch_guard._KAFKA_TELLS_WITHIN_S", 0.0)
    with pytest.raises(BrokerError, match="has not told"):
        await world.guard().check_identity()
    assert (world.database, world.adopted, world.begun) == ("E1", 0, 0)


async def test_what_another_database_has_says_nothing_of_the_one_that_is_judged() -> None:
    world = World("E1", "E1")
    world.promote(is_replicated=True)
    world.published = [OrderRecord("E1", "order.changed", "now", ("store:1@9",), (LINE,))]

    async def answer_from_the_old_primary() -> None:
        world.identity = world.born_in

    world.while_kafka_tells = answer_from_the_old_primary
    with pytest.raises(UnavailableError, match="another database"):
        await world.guard().check_identity()
    assert (world.database, world.born_in, world.adopted, world.begun) == ("E1", "7/1/5", 0, 0)


async def test_a_database_whose_own_log_ends_earlier_than_it_did_gets_a_new_epoch() -> None:
    world = World("E1", "E1")
    guards = [world.guard(), world.guard()]
    for world.flushed in (500, 500, 501):
        for guard in guards:
            await guard.check_identity()
    assert world.begun == 0
    world.flushed = 499
    with capture_logs() as logs:
        for guard in guards:
            await guard.check_identity()
            await guard.check_identity()
    assert (world.database, world.begun) == ("E1+", 1)
    assert "had reached byte 501, and is at 499" in logs[0]["signs"][0]


async def test_it_is_seen_again_where_a_new_epoch_could_not_be_begun() -> None:
    world = World("E1", "E1")
    guard = world.guard()
    await guard.check_identity()
    world.flushed = 499
    world.is_away = True
    with pytest.raises(UnavailableError):
        await guard.check_identity()
    world.is_away = False
    await guard.check_identity()
    assert world.begun == 1


async def test_where_the_log_ends_in_another_database_or_is_not_known_says_nothing() -> None:
    world = World("E1", "E1")
    guard = world.guard()
    for world.flushed in (500, None, 400):
        await guard.check_identity()
    assert world.begun == 0
    world.promote(is_replicated=True)
    world.flushed = 100
    await guard.check_identity()
    assert (world.adopted, world.begun) == (1, 0)
