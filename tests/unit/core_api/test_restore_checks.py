"""How a relay looks at what was published, when some partitions do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core_api.kafka.topics import BrokerError
from core_api.relay.held_shard import HeldShard
from core_api.relay.restore_checks import LOOKS_AT_ONCE, PARTS, RestoreChecks
from server_common.short_tasks import CancelledInsideError


class Guard:
    """Answers each look at once, with an error if one of the dead partitions is in it."""

    def __init__(self, dead: Sequence[int]) -> None:
        self.dead = set(dead)
        self.bug: BaseException | None = None
        self.looks: list[list[int]] = []
        self.most_at_once = 0
        self._at_once = 0

    async def check_published(self, shards: Sequence[int]) -> None:
        self.looks.append(list(shards))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
            if self.bug is not None:
                raise self.bug
            if self.dead.intersection(shards):
                raise BrokerError("does not answer")
        finally:
            self._at_once -= 1


def new_shards(count: int) -> dict[int, HeldShard]:
    return {shard: HeldShard(fence=1, good_until=100.0) for shard in range(count)}


async def look_until_proven(
    guard: Guard, held: dict[int, HeldShard], round_s: float = 0.0, rounds: int = 1000
) -> None:
    """Look until all but the dead are proven; so many seconds pass between two looks."""
    now = 0.0
    checks = RestoreChecks(guard, lambda: now, lambda: None)  # type: ignore[arg-type]
    for _ in range(rounds):
        now += round_s
        checks.look(held)
        if all(one.is_proven or shard in guard.dead for shard, one in held.items()):
            break
        await asyncio.sleep(0)
    await checks.close()


def unproven(held: dict[int, HeldShard]) -> set[int]:
    return {shard for shard, one in held.items() if not one.is_proven}


async def test_all_are_looked_at_together() -> None:
    guard, held = Guard([]), new_shards(500)
    await look_until_proven(guard, held)
    assert [len(look) for look in guard.looks] == [500]


@pytest.mark.parametrize("count", [2, 4, 9, 500])
async def test_a_dead_partition_keeps_only_its_own_shard_waiting(count: int) -> None:
    guard, held = Guard([count // 2]), new_shards(count)
    await look_until_proven(guard, held)
    assert unproven(held) == {count // 2}
    assert len(guard.looks) <= 4 * PARTS


async def test_few_shards_are_looked_at_by_themselves_after_one_failure() -> None:
    guard, held = Guard([1]), new_shards(4)
    await look_until_proven(guard, held)
    assert guard.looks == [[0, 1, 2, 3], [0], [1], [2], [3]]


async def test_the_looks_at_once_have_a_bound_however_many_partitions_are_dead() -> None:
    guard, held = Guard(range(0, 1000, 3)), new_shards(1000)
    await look_until_proven(guard, held)
    assert unproven(held) == guard.dead
    assert guard.most_at_once == LOOKS_AT_ONCE


async def test_many_dead_partitions_keep_no_other_from_its_turn() -> None:
    guard, held = Guard(range(40)), new_shards(44)
    await look_until_proven(guard, held, round_s=10.0)
    assert unproven(held) == guard.dead


@pytest.mark.parametrize(
    ("bug", "told"),
    [
        (ZeroDivisionError("a bug"), ZeroDivisionError),
        (asyncio.CancelledError("a library has lost a future"), CancelledInsideError),
    ],
)
async def test_a_look_that_ends_by_a_bug_is_told_and_looked_at_again(
    bug: BaseException, told: type[Exception]
) -> None:
    guard, held = Guard([]), new_shards(2)
    looked = asyncio.Event()
    checks = RestoreChecks(guard, lambda: 0.0, looked.set)  # type: ignore[arg-type]
    guard.bug = bug
    checks.look(held)
    await looked.wait()
    with pytest.raises(told):
        checks.look(held)
    guard.bug = None
    await look_until_proven(guard, held)
    assert unproven(held) == set()
