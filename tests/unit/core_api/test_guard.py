"""When a relay begins a new epoch by itself, and when it must not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from structlog.testing import capture_logs

from core_api.restore.detection import LastPublished, Lineage
from core_api.restore.guard import LifetimeGuard, SharedTopicError
from core_api.restore.lineage import Stored
from core_api.restore.published_records import PublishedTail


class World:
    """A database and a topic, each in an epoch."""

    def __init__(self, database: str, topic: str) -> None:
        self.database, self.topic = database, topic
        self.begun = 0

    async def lineage(self) -> Lineage:
        return Lineage(self.database, None, "7/1/5")

    async def tail(self, _partitions: Collection[int]) -> PublishedTail:
        return PublishedTail(self.topic)

    async def stored(self, _published: Mapping[str, LastPublished]) -> dict[str, Stored]:
        return {}

    async def begin(self, judged: str, beyond: str) -> str | None:
        if judged != self.database:
            return None
        self.database = max(judged, beyond) + "+"
        return self.database

    def count(self) -> None:
        self.begun += 1

    def guard(self) -> LifetimeGuard:
        return LifetimeGuard(self.lineage, self.tail, self.stored, self.begin, self.count)


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
