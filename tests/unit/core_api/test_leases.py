"""Shards are shared out fairly, each to one relay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core_api.relay.leases import Lease, plan_leases


def test_a_lone_relay_takes_every_shard() -> None:
    plan = plan_leases("a", [], 4, [])
    assert plan.claim == (0, 1, 2, 3)
    assert plan.release == ()
    assert plan.look_again_s is None


def test_a_second_relay_is_made_room_for() -> None:
    leases = [Lease(shard, "a", 1, 5.0) for shard in range(4)]
    assert plan_leases("a", ["a", "b"], 4, leases).release == (2, 3)
    newcomer = plan_leases("b", ["a", "b"], 4, leases)
    assert newcomer.claim == ()
    assert newcomer.look_again_s == 5.0


def test_a_lease_that_ran_out_is_claimed_by_whoever_is_short_of_shards() -> None:
    leases = [
        Lease(0, "a", 1, 5.0),
        Lease(1, "a", 1, 5.0),
        Lease(2, "gone", 7, 0.0),
        Lease(3, "gone", 7, -3.0),
    ]
    assert plan_leases("a", ["a", "b"], 4, leases).claim == ()
    assert plan_leases("b", ["a", "b"], 4, leases).claim == (2, 3)


def test_a_live_lease_is_never_claimed_even_if_its_owner_is_not_among_the_living() -> None:
    plan = plan_leases("a", ["a"], 1, [Lease(0, "paused", 1, 0.4)])
    assert plan.claim == ()
    assert plan.look_again_s == 0.4


def test_its_own_lease_that_ran_out_is_claimed_anew_with_a_new_number() -> None:
    assert plan_leases("a", ["a"], 1, [Lease(0, "a", 3, -1.0)]).claim == (0,)


def test_rows_of_shards_that_no_longer_exist_are_left_alone() -> None:
    plan = plan_leases("a", ["a"], 1, [Lease(5, "a", 1, 5.0), Lease(6, "x", 1, 0.0)])
    assert plan.claim == (0,)
    assert plan.release == ()


@given(shards=st.integers(1, 40), count=st.integers(1, 9))
def test_relays_that_see_the_same_share_all_shards_out_at_once(shards: int, count: int) -> None:
    relays = [f"relay-{n}" for n in range(count)]
    owner: dict[int, str] = {}
    for relay in relays:
        leases = [Lease(shard, of, 1, 5.0) for shard, of in owner.items()]
        for shard in plan_leases(relay, relays, shards, leases).claim:
            owner[shard] = relay
    held = [sum(of == relay for of in owner.values()) for relay in relays]
    assert sorted(owner) == list(range(shards))
    assert max(held) - min(held) <= 1


@given(data=st.data())
def test_any_start_settles_into_fair_shares(data: st.DataObject) -> None:
    shards = data.draw(st.integers(1, 16))
    relays = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
    owner: dict[int, str | None] = {
        shard: data.draw(st.sampled_from([*relays, None])) for shard in range(shards)
    }
    for _ in range(2):
        for relay in relays:
            leases = [Lease(s, of, 1, 5.0) for s, of in owner.items() if of is not None]
            plan = plan_leases(relay, relays, shards, leases)
            for shard in plan.release:
                owner[shard] = None
            for shard in plan.claim:
                assert owner[shard] is None
                owner[shard] = relay
    held = [sum(of == relay for of in owner.values()) for relay in relays]
    assert None not in owner.values()
    assert max(held) - min(held) <= 1
