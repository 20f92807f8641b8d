"""Each strategy by example: what a concurrent edit becomes, and why."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from client_sdk.contract.state.edit import Conflict, OwnEdit
from client_sdk.contract.state.operations import Add, Call, Delete, Merge, Patch, Set
from core_api.documents.definitions import StrategyName
from core_api.documents.kept_versions import Head, History, Kept
from core_api.documents.settling import settle
from tests.unit.core_api.documents.samples import (
    ANY,
    STRATEGIES,
    Store,
    at,
    definition,
    edit,
    store,
)
from tests.unit.core_api.samples import NOW

LINE = {"name": "김밥", "quantity": 1}


# last


def test_last_takes_the_later_edit_and_says_that_it_settled_it() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    settlement = made.one(edit(Set({"value": 3}), 1, made_at=21))
    assert (settlement.outcome, settlement.strategy) == ("settled", "last")
    assert made.head.value == {"value": 3}


def test_last_puts_the_earlier_edit_aside_and_changes_nothing() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    settlement = made.one(edit(Set({"value": 3}), 1, made_at=19))
    assert (settlement.outcome, settlement.aside) == ("put-aside", ("",))
    assert (settlement.made, made.head.value) == (None, {"value": 2})


def test_of_two_edits_of_the_same_moment_last_takes_the_one_that_is_settled_later() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    assert made.one(edit(Set({"value": 3}), 1, made_at=20)).outcome == "settled"


def test_an_edit_that_does_not_say_when_it_was_made_is_as_old_as_its_base() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    assert made.one(edit(Set({"value": 3}), 1)).outcome == "put-aside"
    assert made.one(edit(Set({"value": 4}), 1, made_at=20), "b").outcome == "settled"
    assert made.one(edit(Set({"value": 5}), 2), "c").outcome == "settled"


def test_last_puts_an_edit_aside_whose_time_nobody_knows() -> None:
    made = store("last", {"value": 1})
    assert made.one(edit(Set({"value": 3}), None)).outcome == "put-aside"


def test_an_edit_that_claims_the_future_counts_as_of_now() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    made.one(edit(Set({"value": 3}), 1, made_at=10**6), now=at(30))
    assert made.one(edit(Set({"value": 4}), 2, made_at=31), "b").outcome == "settled"


def test_an_edit_is_never_earlier_than_what_it_was_made_on() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    made.one(edit(Set({"value": 3}), 2, made_at=5), "slow clock")
    assert made.head.made_at == at(20)


def test_last_applies_the_later_edit_to_the_current_value() -> None:
    made = store("last", {"a": 1}, {"a": 1, "b": 2})
    made.one(edit(Merge({"a": 5}), 1, made_at=30))
    assert made.head.value == {"a": 5, "b": 2}


def test_an_old_add_that_takes_effect_does_not_make_the_document_older() -> None:
    made = store("last", {"value": 1}, {"value": 2})
    made.one(edit(Add({"/value": 1}), 1, made_at=11))
    assert made.one(edit(Set({"value": 9}), 1, made_at=15), "b").outcome == "put-aside"


def test_a_set_under_last_gives_a_deleted_document_back() -> None:
    made = store("last", {"value": 1}, None)
    assert made.one(edit(Set({"value": 3}), 1, made_at=30)).outcome == "settled"
    assert made.head.value == {"value": 3}


# merge


def test_merge_lets_two_phones_fill_one_new_cart() -> None:
    made = Store(ANY["merge"])
    made.one(edit(Set({"lines": {"a": LINE}})), "a")
    settlement = made.one(edit(Set({"lines": {"b": LINE}})), "b")
    assert settlement.outcome == "settled"
    assert made.head.value == {"lines": {"a": LINE, "b": LINE}}


def test_merge_does_not_empty_what_somebody_has_filled_meanwhile() -> None:
    made = Store(ANY["merge"])
    made.one(edit(Set({"lines": {"a": LINE}}), made_at=10), "a")
    made.one(edit(Set({"lines": {}}), made_at=99), "b")
    assert made.head.value == {"lines": {"a": LINE}}


@pytest.mark.parametrize(("time", "quantity"), [(19, 2), (20, 3), (21, 3)])
def test_at_one_path_the_later_wins(time: int, quantity: int) -> None:
    made = store("merge", {"q": 1}, {"q": 2})
    made.one(edit(Merge({"q": 3}), 1, made_at=time))
    assert made.head.value == {"q": quantity}


def test_an_edit_that_wins_at_one_path_and_loses_at_another_is_settled_and_told_of_it() -> None:
    made = store("merge", {"q": 1, "r": 1}, {"q": 2, "r": 1})
    settlement = made.one(edit(Merge({"q": 3, "r": 3}), 1, made_at=15))
    assert (settlement.outcome, settlement.aside) == ("settled", ("/q",))
    assert made.head.value == {"q": 2, "r": 3}


def test_an_edit_that_loses_everywhere_is_put_aside() -> None:
    made = store("merge", {"q": 1}, {"q": 2})
    settlement = made.one(edit(Merge({"q": 3}), 1, made_at=15))
    assert (settlement.outcome, settlement.aside, settlement.made) == ("put-aside", ("/q",), None)


def test_the_time_at_a_path_is_that_of_the_version_which_touched_it() -> None:
    """Version 2 was made last, but at another path."""
    made = store("merge", {"q": 1, "r": 1}, {"q": 2, "r": 1}, {"q": 2, "r": 9})
    assert made.one(edit(Merge({"q": 3}), 1, made_at=25)).outcome == "settled"
    assert made.head.value == {"q": 3, "r": 9}


def test_an_edit_that_is_settled_late_counts_at_its_paths_as_of_when_it_was_made() -> None:
    made = store("merge", {"q": 1, "r": 1}, {"q": 1, "r": 2})
    made.one(edit(Merge({"q": 3}), 1, made_at=12), "a")
    assert made.one(edit(Merge({"q": 4}), 1, made_at=15), "b").outcome == "settled"
    assert made.head.value == {"q": 4, "r": 2}


def test_a_change_below_counts_against_one_who_removes_the_whole() -> None:
    made = store("merge", {"l": {"q": 1}}, {"l": {"q": 2}})
    settlement = made.one(edit(Merge({"l": None}), 1, made_at=15))
    assert (settlement.aside, made.head.value) == (("/l",), {"l": {"q": 2}})


def test_a_change_inside_what_somebody_has_removed_is_put_aside_even_if_later() -> None:
    """Else half a line would come back, without its name."""
    made = store("merge", {"lines": {"a": LINE}}, {"lines": {}})
    settlement = made.one(edit(Merge({"lines": {"a": {"quantity": 5}}}), 1, made_at=99))
    assert (settlement.outcome, made.head.value) == ("put-aside", {"lines": {}})


def test_who_says_the_same_as_somebody_before_has_it_without_a_version() -> None:
    made = store("merge", {"q": 1}, {"q": 2})
    settlement = made.one(edit(Merge({"q": 2}), 1, made_at=15))
    assert (settlement.outcome, settlement.made, settlement.aside) == ("settled", None, ())


def test_an_array_is_one_value() -> None:
    made = store("merge", {"l": [1]}, {"l": [1, 2]})
    settlement = made.one(edit(Set({"l": [1, 3]}), 1, made_at=15))
    assert (settlement.aside, made.head.value) == (("/l",), {"l": [1, 2]})


@pytest.mark.parametrize(("time", "left"), [(15, {"q": 2}), (25, None)])
def test_a_delete_holds_only_if_it_is_later_than_all_that_others_did(
    time: int, left: dict[str, Any] | None
) -> None:
    made = store("merge", {"q": 1}, {"q": 2})
    made.one(edit(Delete(), 1, made_at=time))
    assert made.head.value == left


def test_what_the_client_says_that_it_saw_counts_above_the_base() -> None:
    """It had a pending edit on top of version 1, and so saw 2 there, as Core has it."""
    made = store("merge", {"q": 1}, {"q": 2})
    made.one(edit(Merge({"q": 3}), 1, seen={"/q": 2}))
    assert made.head.value == {"q": 3}


def trimmed(value: dict[str, Any], diff: list[dict[str, Any]]) -> tuple[Head, History]:
    """A document at version 9 of which only that version is kept, made at 50."""
    return Head(9, value, 1, at(50)), History([Kept(9, at(50), diff, 1, value)])


CHANGED_R = [{"op": "replace", "path": "/r", "value": 5}]


@pytest.mark.parametrize("time", [1, 99])
def test_where_the_history_does_not_reach_back_cores_value_stays(time: int) -> None:
    head, history = trimmed({"q": 2, "r": 5}, CHANGED_R)
    change = edit(Merge({"q": 3}), 1, made_at=time, seen={"/q": 1})
    settlement = settle(change, head, history, ANY["merge"], NOW, lambda _: None)
    assert (settlement.outcome, settlement.aside) == ("put-aside", ("/q",))


def test_without_the_base_what_was_seen_and_has_not_changed_is_taken() -> None:
    head, history = trimmed({"q": 2, "r": 5}, CHANGED_R)
    change = edit(Merge({"q": 3}), 1, seen={"/q": 2})
    settlement = settle(change, head, history, ANY["merge"], NOW, lambda _: None)
    assert settlement.head.value == {"q": 3, "r": 5}


def test_without_the_base_what_a_set_does_not_say_that_it_saw_is_put_aside() -> None:
    """It may be what the client changed, and as well what others have changed since."""
    head, history = trimmed({"q": 2, "r": 5}, CHANGED_R)
    change = edit(Set({"q": 3, "r": 1}), 1, made_at=99, seen={"/q": 2})
    settlement = settle(change, head, history, ANY["merge"], NOW, lambda _: None)
    assert (settlement.head.value, settlement.aside) == ({"q": 3, "r": 5}, ("/r",))


def test_without_the_base_a_patch_is_taken_apart_by_what_was_seen() -> None:
    head, history = trimmed({"l": {"b": {}}, "r": 5}, CHANGED_R)
    steps = [{"op": "add", "path": "/l/a", "value": {"q": 1}}]
    settlement = settle(
        edit(Patch(steps), 1, seen={}), head, history, ANY["merge"], NOW, lambda _: None
    )
    assert settlement.head.value == {"l": {"a": {"q": 1}, "b": {}}, "r": 5}


def test_a_removal_without_the_base_takes_what_was_seen() -> None:
    head, history = trimmed({"q": 2, "r": 5}, CHANGED_R)
    change = edit(Set({"r": 5}), 1, seen={"/q": 2})
    settlement = settle(change, head, history, ANY["merge"], NOW, lambda _: None)
    assert settlement.head.value == {"r": 5}


# sum


def test_sum_adds_what_each_has_added() -> None:
    made = store("sum", {"n": 10}, {"n": 12})
    made.one(edit(Set({"n": 15}), 1, made_at=1))
    assert made.head.value == {"n": 17}


def test_two_who_make_the_same_step_have_made_two_under_sum() -> None:
    made = store("sum", {"n": 10}, {"n": 11})
    made.one(edit(Set({"n": 11}), 1))
    assert made.head.value == {"n": 12}


def test_a_chain_under_sum_adds_each_step_once() -> None:
    made = store("sum", {"n": 10}, {"n": 11})
    made.one(edit(Set({"n": 12}), 1, 1))
    made.one(edit(Set({"n": 15}), OwnEdit(1), 2))
    assert made.head.value == {"n": 16}


def test_sum_settles_everything_else_as_merge_does() -> None:
    made = store("sum", {"n": 1, "t": "a"}, {"n": 2, "t": "b"})
    settlement = made.one(edit(Set({"n": 3, "t": "c"}), 1, made_at=15))
    assert (made.head.value, settlement.aside) == ({"n": 4, "t": "b"}, ("/t",))


def test_true_and_false_are_no_numbers_to_sum() -> None:
    made = store("sum", {"n": 0}, {"n": 5})
    settlement = made.one(edit(Set({"n": True}), 1, made_at=15))
    assert (made.head.value, settlement.aside) == ({"n": 5}, ("/n",))


# first, ask, call


def test_first_refuses_with_the_document_as_it_stands() -> None:
    made = store("first", {"q": 1}, {"q": 2})
    refusal = made.one(edit(Set({"q": 3}), 1)).refusal
    assert refusal is not None
    assert (refusal.slug, refusal.conflict) == ("edit-conflict", Conflict(2, {"q": 2}))


def test_ask_refuses_with_base_current_and_own_value() -> None:
    made = store("ask", {"q": 1}, {"q": 2})
    refusal = made.one(edit(Merge({"r": 3}), 1)).refusal
    assert refusal is not None
    assert refusal.conflict == Conflict(2, {"q": 2}, {"q": 1}, {"q": 1, "r": 3})


def test_ask_leaves_out_the_base_that_is_no_longer_kept() -> None:
    head, history = trimmed({"q": 2}, [])
    refusal = settle(
        edit(Merge({"r": 3}), 1), head, history, ANY["ask"], NOW, lambda _: None
    ).refusal
    assert refusal is not None
    assert refusal.conflict == Conflict(9, {"q": 2}, UNSET, UNSET)


def test_a_call_runs_on_the_newest_value_under_any_strategy() -> None:
    for strategy in STRATEGIES:
        made = store(strategy, {"a": 1}, {"a": 2})
        settlement = made.one(edit(Call("tidy", "now"), 1))
        assert (settlement.outcome, settlement.strategy) == ("settled", "call")
        assert made.head.value == {"a": 2, "tidy": "now"}


@pytest.mark.parametrize("do", [Set({}), Merge({}), Patch([]), Add({"/a": 1}), Delete()], ids=str)
def test_the_strategy_call_takes_no_other_operation(do: Any) -> None:
    refusal = Store(definition("call")).one(edit(do)).refusal
    assert refusal is not None
    assert refusal.slug == "forbidden-operation"


# under any strategy


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_add_adds_even_where_somebody_has_taken_the_number_away(strategy: StrategyName) -> None:
    made = store(strategy, {"l": {"n": 1}}, {})
    settlement = made.one(edit(Add({"/l/n": 2}), 1))
    assert (settlement.outcome, settlement.strategy) == ("settled", "add")
    assert made.head.value == {"l": {"n": 2}}


@pytest.mark.parametrize("strategy", ["last", "merge", "sum"])
@pytest.mark.parametrize("path", ["/l/0", "/l/-"])
def test_a_concurrent_patch_with_an_array_index_is_refused(
    strategy: StrategyName, path: str
) -> None:
    made = store(strategy, {"l": [1]}, {"l": [2, 1]})
    steps = [{"op": "add", "path": path, "value": 9}]
    refusal = made.one(edit(Patch(steps), 1, made_at=99)).refusal
    assert refusal is not None
    assert refusal.slug == "edit-conflict"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_patch_with_an_array_index_on_the_newest_base_is_applied(strategy: StrategyName) -> None:
    made = store(strategy, {"l": [1]})
    made.one(edit(Patch([{"op": "add", "path": "/l/-", "value": 9}]), 1))
    assert made.head.value == {"l": [1, 9]}


@pytest.mark.parametrize("strategy", ["merge", "sum"])
def test_the_test_of_a_concurrent_patch_must_hold_on_the_newest_version(
    strategy: StrategyName,
) -> None:
    made = store(strategy, {"open": True, "q": 1}, {"open": False, "q": 1})
    steps = [
        {"op": "test", "path": "/open", "value": True},
        {"op": "replace", "path": "/q", "value": 2},
    ]
    refusal = made.one(edit(Patch(steps), 1, made_at=99)).refusal
    assert refusal is not None
    assert refusal.slug == "patch-failed"


DELETED = [
    (strategy, do)
    for strategy in STRATEGIES
    for do in (
        Set({}),
        Merge({"a": 1}),
        Add({"/a": 1}),
        Delete(),
        Call("tidy"),
        Patch([{"op": "add", "path": "", "value": {}}]),
    )
    if not (strategy == "last" and isinstance(do, Set))
]


@pytest.mark.parametrize(("strategy", "do"), DELETED, ids=str)
def test_a_concurrent_edit_of_a_deleted_document_is_refused(
    strategy: StrategyName, do: Any
) -> None:
    made = store(strategy, {"a": 1}, None)
    refusal = made.one(edit(do, 1, made_at=99)).refusal
    assert refusal is not None
    assert refusal.slug == "edit-conflict"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_deleted_document_is_made_again_by_one_who_knows_of_it_and_versions_go_on(
    strategy: StrategyName,
) -> None:
    made = store(strategy, {"a": 1}, None)
    settlement = made.one(edit(Set({"b": 1}), 2))
    assert settlement.made is not None
    assert (settlement.made.version, settlement.made.operation) == (3, "create")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("do", [Set({"b": 1}), Merge({"b": 1}), Add({"/b": 1})], ids=str)
def test_who_saw_no_document_makes_a_deleted_one_anew(strategy: StrategyName, do: Any) -> None:
    made = store(strategy, {"a": 1}, None)
    settlement = made.one(edit(do, 0, made_at=25), "offline")
    assert (settlement.outcome, settlement.strategy) == ("applied", None)
    assert settlement.made is not None
    assert (settlement.made.version, settlement.made.operation) == (3, "create")
    assert made.head.value == {"b": 1}


def test_what_is_made_anew_is_not_older_than_the_end_of_what_was_before() -> None:
    made = store("last", {"a": 1}, None)
    made.one(edit(Set({"b": 1}), 0), "offline")
    assert (made.head.value, made.head.made_at) == ({"b": 1}, at(20))


def test_of_two_who_make_a_deleted_document_anew_the_second_is_concurrent() -> None:
    made = store("first", {"a": 1}, None)
    assert made.one(edit(Set({"b": 1}), 0), "b").refusal is None
    refusal = made.one(edit(Set({"c": 1}), 0), "c").refusal
    assert refusal is not None
    assert refusal.slug == "edit-conflict"
