"""Which syncs a standby may answer: those that lose nothing by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from client_sdk.contract.channel import parse_channel
from core_api.sync.replica import STALE_AFTER_S, StandbyReplica
from core_api.sync.request import SyncRequest

HEAD, FLOOR, EPOCH = 10, 2, "E1"
AT = 1_800_000_000.0


class Standby:
    """A pool of a standby that has one channel."""

    def __init__(self) -> None:
        self.at = AT
        self.error: Exception | None = None
        self.asked = 0

    async def fetch(self, _statement: str, *queries: Sequence[Any]) -> list[tuple[Any, ...]]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        (after,), (limit,) = queries[1], queries[2]
        seqs = list(range(after + 1, HEAD + 1))[:limit] if FLOOR <= after < HEAD else None
        bodies = None if seqs is None else ['"data":{}}'] * len(seqs)
        return [(EPOCH, self.at, HEAD, 0, FLOOR, seqs, bodies, None)]


class World:
    """A standby, a clock, and what was counted."""

    def __init__(self) -> None:
        self.standby, self.now, self.counted = Standby(), 100.0, list[str]()
        pool: Any = self.standby
        self.replica = StandbyReplica(pool, lambda: self.now, self.counted.append)

    async def answers(self, after: int | None, epoch: str | None = EPOCH) -> bool:
        request = SyncRequest({parse_channel("store:1"): after}, epoch, 500, 0.0, None)
        return await self.replica.pages(request) is not None


@pytest.fixture
def world() -> World:
    world = World()
    world.replica.saw_primary(AT + 1)
    return world


@pytest.mark.parametrize("after", [FLOOR, HEAD - 1, HEAD])
async def test_a_cursor_that_is_covered_is_answered(world: World, after: int) -> None:
    assert await world.answers(after)
    assert world.counted == ["replica"]


@pytest.mark.parametrize(
    ("after", "epoch"),
    [(HEAD + 1, EPOCH), (FLOOR - 1, EPOCH), (HEAD, "E2"), (HEAD, None)],
    ids=["it has not come so far", "trimmed", "another epoch", "an unknown epoch"],
)
async def test_what_is_not_covered_is_left_to_the_primary(
    world: World, after: int, epoch: str | None
) -> None:
    assert not await world.answers(after, epoch)
    assert world.counted == ["stale"]


async def test_a_first_sync_is_the_primarys_and_does_not_ask(world: World) -> None:
    assert not await world.answers(None)
    assert world.standby.asked == 0


async def test_a_standby_that_is_behind_in_time_is_not_believed(world: World) -> None:
    world.now += STALE_AFTER_S - 1
    assert await world.answers(HEAD)
    world.now += 0.1
    assert not await world.answers(HEAD)
    world.standby.at += 1
    assert await world.answers(HEAD)


async def test_a_standby_from_before_the_primarys_clock_was_set_back_is_not_believed(
    world: World,
) -> None:
    world.replica.saw_primary(AT - STALE_AFTER_S - 0.1)
    assert not await world.answers(HEAD)
    assert world.counted == ["stale"]


async def test_what_the_standby_cannot_do_is_left_to_the_primary(world: World) -> None:
    world.standby.error = asyncpg.FeatureNotSupportedError("not on a standby")
    assert not await world.answers(HEAD)
    assert world.counted == ["failed"]


async def test_it_is_not_asked_before_the_primarys_time_is_known_nor_long_after() -> None:
    world = World()
    assert not await world.answers(HEAD)
    world.replica.saw_primary(AT)
    assert await world.answers(HEAD)
    world.now, world.standby.at = world.now + 31, AT + 31
    assert not await world.answers(HEAD)
    assert world.standby.asked == 1


async def test_a_damaged_row_of_one_client_keeps_no_other_from_the_standby(world: World) -> None:
    world.standby.error = asyncpg.DataCorruptedError("invalid page")
    assert not await world.answers(HEAD)
    world.standby.error = None
    assert await world.answers(HEAD)
    assert world.counted == ["failed", "replica"]


async def test_a_standby_that_fails_is_left_alone_for_a_while(world: World) -> None:
    world.standby.error = asyncpg.InterfaceError("gone")
    assert not await world.answers(HEAD)
    world.standby.error = None
    assert not await world.answers(HEAD)
    assert (world.standby.asked, world.counted) == (1, ["failed"])
    world.now, world.standby.at = world.now + 5, AT + 5
    assert await world.answers(HEAD)
