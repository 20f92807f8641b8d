"""What every strategy promises, over edits that nobody has thought of."""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.edit import Edit, OwnEdit
from client_sdk.contract.state.operations import Add, Call, Merge, PlainOperation, Set, apply
from client_sdk.contract.state.patch import apply_patch, diff
from client_sdk.contract.state.pointer import MISSING, get, parse_pointer
from client_sdk.contract.state.values import same
from core_api.documents.changes import PathSet, changes_between
from core_api.documents.definitions import StrategyName
from core_api.documents.refusals import REFUSALS
from tests.unit.core_api.documents.samples import (
    ANY,
    STRATEGIES,
    Store,
    counters,
    documents,
    edit,
    flat,
    in_groups,
    operations,
    store,
    times,
    traffic,
    values,
)

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)
by_path = pytest.mark.parametrize("strategy", ["merge", "sum"])


@every_strategy
@settings(deadline=None)
@given(value=documents, operation=operations, time=times)
def test_an_edit_on_the_newest_base_does_what_it_says(
    strategy: StrategyName, value: dict[str, Any], operation: PlainOperation, time: int | None
) -> None:
    made = store(strategy, value)
    before = made.head
    settlement = made.one(edit(operation, before.version, made_at=time))
    try:
        expected = apply(operation, value)
    except StateError:
        assert (settlement.outcome, made.head) == ("refused", before)
        return
    assert settlement.outcome == "applied"
    assert same(made.head.value, expected)
    assert made.head.version == before.version + (not same(expected, value))


@every_strategy
@settings(deadline=None)
@given(value=documents, chain=st.lists(st.tuples(operations, times), min_size=1, max_size=5))
def test_a_chain_of_offline_edits_on_the_newest_version_is_applied_as_it_was_made(
    strategy: StrategyName, value: dict[str, Any], chain: list[tuple[PlainOperation, int | None]]
) -> None:
    made = store(strategy, value)
    base: int | OwnEdit = made.head.version
    expected: dict[str, Any] | None = value
    for n, (operation, time) in enumerate(chain, 1):
        try:
            expected = apply(operation, expected)
        except StateError:
            continue  # the client would not have made it
        settlement = made.one(edit(operation, base, n, made_at=time))
        assert settlement.outcome == "applied"
        base = OwnEdit(n)
    assert same(made.head.value, expected)


@every_strategy
@settings(deadline=None)
@given(lives=st.lists(documents, min_size=1, max_size=3), operation=operations, time=times)
def test_an_edit_on_no_document_does_to_a_deleted_one_what_it_does_where_there_never_was_one(
    strategy: StrategyName, lives: list[dict[str, Any]], operation: PlainOperation, time: int | None
) -> None:
    new = Store(ANY[strategy])
    gone = store(strategy, *(value for life in lives for value in (life, None)))
    before = gone.head.version
    first, again = (one.one(edit(operation, 0, made_at=time), "x") for one in (new, gone))
    assert again.outcome == first.outcome
    assert same(gone.head.value, new.head.value)
    assert gone.head.version == before + new.head.version


@pytest.mark.parametrize("strategy", ["last", "merge", "sum"])
@settings(deadline=None)
@given(
    base=flat,
    others=flat,
    chain=st.lists(st.tuples(flat.filter(bool), st.integers(0, 9)), min_size=1, max_size=5),
)
def test_a_chain_that_is_settled_beside_others_never_loses_to_itself(
    strategy: StrategyName,
    base: dict[str, Any],
    others: dict[str, Any],
    chain: list[tuple[dict[str, Any], int]],
) -> None:
    """The others came first; the chain's clock goes to and fro, and it was made later than they."""
    texts = {name: str(part) for name, part in base.items()}
    made = store(strategy, texts)
    made.one(edit(Merge({name: f"other {part}" for name, part in others.items()}), 1, made_at=20))
    below: int | OwnEdit = 1
    view: dict[str, Any] | None = texts
    for n, (patch, time) in enumerate(chain, 1):
        own = Merge({name: part if part is None else f"own {part}" for name, part in patch.items()})
        view = apply(own, view)
        settlement = made.one(edit(own, below, n, made_at=30 + time), "offline")
        assert settlement.outcome in ("applied", "settled")
        assert not settlement.aside
        below = OwnEdit(n)
    for name in {name for patch, _ in chain for name in patch}:
        # What the chain left as it found it, others may have changed.
        if get(view, (name,)) is not get(texts, (name,)):
            assert same(get(made.head.value, (name,)), get(view, (name,)))


@settings(deadline=None)
@given(
    theirs=st.integers(-9, 9),
    chain=st.lists(st.tuples(st.integers(-9, 9), times), min_size=1, max_size=5),
)
def test_a_chain_under_sum_adds_each_of_its_steps_once(
    theirs: int, chain: list[tuple[int, int | None]]
) -> None:
    made = store("sum", {"n": 0}, {"n": theirs})
    base: int | OwnEdit = 1
    for n, (own, time) in enumerate(chain, 1):
        made.one(edit(Set({"n": own}), base, n, made_at=time))
        base = OwnEdit(n)
    assert made.head.value == {"n": theirs + chain[-1][0]}


@every_strategy
@settings(deadline=None)
@given(edits=traffic(), cuts=st.lists(st.integers(0, 100), max_size=3))
def test_the_result_does_not_depend_on_how_edits_were_batched(
    strategy: StrategyName, edits: list[tuple[str, Edit]], cuts: list[int]
) -> None:
    together, apart = Store(ANY[strategy]), Store(ANY[strategy])
    at_once = together.settle(*edits)
    in_turn = [one for group in in_groups(edits, cuts) for one in apart.settle(*group)]
    assert at_once == in_turn
    assert together.head == apart.head


@every_strategy
@settings(deadline=None)
@given(edits=traffic())
def test_the_diffs_one_after_the_other_give_exactly_the_value_at_the_head(
    strategy: StrategyName, edits: list[tuple[str, Edit]]
) -> None:
    made = Store(ANY[strategy])
    made.settle(*edits)
    value: Any = MISSING
    for steps in made.diffs:
        assert steps
        value = apply_patch(value, steps)
    assert same(None if value is MISSING else value, made.head.value)
    assert made.head.version == len(made.diffs)


@every_strategy
@settings(deadline=None)
@given(edits=traffic())
def test_every_edit_has_one_outcome_and_only_a_new_value_makes_a_version(
    strategy: StrategyName, edits: list[tuple[str, Edit]]
) -> None:
    made = Store(ANY[strategy])
    settled = made.settle(*edits)
    assert [one.n for one in settled] == [change.n for _, change in edits]
    heads = [Store(ANY[strategy]).head, *(one.head for one in settled)]
    for (before, after), one in zip(pairwise(heads), settled, strict=True):
        changed = not same(before.value, after.value)
        assert after.version == before.version + changed
        assert (one.made is not None) == changed
        assert (one.refusal is not None) == (one.outcome == "refused")
        assert one.refusal is None or one.refusal.slug in REFUSALS
        assert not (changed and one.outcome in ("refused", "put-aside"))


@every_strategy
@settings(deadline=None)
@given(edits=traffic())
def test_settling_touches_nothing_that_it_is_given(
    strategy: StrategyName, edits: list[tuple[str, Edit]]
) -> None:
    made = Store(ANY[strategy])
    kept: list[tuple[Any, str]] = []
    for one in edits:
        made.settle(one)
        kept.append((made.head.value, json.dumps(made.head.value)))
    assert [json.dumps(value) for value, _ in kept] == [text for _, text in kept]


@every_strategy
@settings(deadline=None)
@given(
    value=counters,
    sums=st.lists(st.dictionaries(st.sampled_from(["/a", "/b", "/n/x"]), st.integers(-9, 9),
                                  min_size=1), min_size=2, max_size=3),
    when=st.lists(times, min_size=3, max_size=3),
)  # fmt: skip
def test_adds_commute(
    strategy: StrategyName,
    value: dict[str, int],
    sums: list[dict[str, int]],
    when: list[int | None],
) -> None:
    edits = [
        (str(index), edit(Add(numbers), 1, made_at=when[index]))
        for index, numbers in enumerate(sums)
    ]
    results = []
    for order in permutations(edits):
        made = store(strategy, value)
        made.settle(*order)
        results.append(made.head.value)
    expected: dict[str, Any] | None = value
    for numbers in sums:
        expected = apply(Add(numbers), expected)
    assert all(same(result, expected) for result in results)


@settings(deadline=None)
@given(value=counters, own=st.lists(counters, min_size=2, max_size=3), data=st.data())
def test_what_was_added_to_numbers_under_sum_commutes(
    value: dict[str, int], own: list[dict[str, int]], data: st.DataObject
) -> None:
    whole = [value | counts for counts in own]  # nobody takes a number away
    edits = [
        (str(index), edit(Set(counts), 1, made_at=data.draw(times)))
        for index, counts in enumerate(whole)
    ]
    expected = {
        name: value.get(name, 0)
        + sum(counts.get(name, 0) - value.get(name, 0) for counts in whole if name in counts)
        for name in set().union(*whole)
    }
    for order in permutations(edits):
        made = store("sum", value)
        made.settle(*order)
        assert made.head.value == expected


shared = st.fixed_dictionaries({}, optional=dict.fromkeys(("x", "y"), values))
parts = st.fixed_dictionaries({}, optional={"p": values, "q": values, "s": shared})
"""Documents of two authors: the one has /p and /s/x, the other /q and /s/y."""


def with_parts(value: dict[str, Any], mine: dict[str, Any], top: str, below: str) -> dict[str, Any]:
    """The value with its author's parts as they are in another."""
    own = {name: part for name, part in value.items() if name != top}
    own |= {top: mine[top]} if top in mine else {}
    common = {name: part for name, part in value.get("s", {}).items() if name != below}
    common |= {below: mine["s"][below]} if below in mine.get("s", {}) else {}
    return own | ({"s": common} if common or "s" in value else {})


@by_path
@settings(deadline=None)
@given(
    value=parts | st.none(),
    mine=st.tuples(parts, parts),
    when=st.tuples(times, times),
    how=st.sampled_from(["set", "merge"]),
)
def test_edits_on_disjoint_paths_commute_and_both_hold(
    strategy: StrategyName,
    value: dict[str, Any] | None,
    mine: tuple[dict[str, Any], dict[str, Any]],
    when: tuple[int | None, int | None],
    how: str,
) -> None:
    before = value or {}
    own = (with_parts(before, mine[0], "p", "x"), with_parts(before, mine[1], "q", "y"))
    base = 0 if value is None else 1
    edits = [
        (str(index), edit(_as(how, before, left), base, 1, made_at=when[index]))
        for index, left in enumerate(own)
    ]
    results = []
    for order in permutations(edits):
        made = store(strategy, *([] if value is None else [value]))
        settled = made.settle(*order)
        assert not any(one.aside or one.refusal for one in settled)
        results.append(made.head.value)
        for change in (*changes_between(before, own[0]), *changes_between(before, own[1])):
            there = get(made.head.value, change.path)
            room = change.value == {} and type(there) is dict
            assert same(there, change.value) or room
    assert same(results[0], results[1])


def _as(how: str, value: dict[str, Any], own: dict[str, Any]) -> PlainOperation:
    """The same change; as a merge patch, where one can say it."""
    if how == "merge":
        merge = Merge(_merge_patch_of(value, own))
        if same(apply(merge, value), own):
            return merge
    return Set(own)


def _merge_patch_of(value: Any, own: Any) -> Any:
    if type(value) is not dict or type(own) is not dict:
        return own
    return {name: None for name in value if name not in own} | {
        name: _merge_patch_of(value.get(name), part)
        for name, part in own.items()
        if not same(value.get(name, MISSING), part)
    }


@by_path
@settings(deadline=None)
@given(value=documents, theirs=documents, own=documents, when=st.tuples(times, times))
def test_nothing_is_overwritten_and_nothing_put_aside_in_silence(
    strategy: StrategyName,
    value: dict[str, Any],
    theirs: dict[str, Any],
    own: dict[str, Any],
    when: tuple[int | None, int | None],
) -> None:
    made = store(strategy, value)
    made.one(edit(Set(theirs), 1, made_at=when[0]), "b")
    before = made.head.value
    settlement = made.one(edit(Set(own), 1, made_at=when[1]), "a")
    changes = changes_between(value, own)
    aside = [parse_pointer(pointer) for pointer in settlement.aside]
    for step in diff(before, made.head.value):  # only what the edit is about has changed
        assert PathSet(change.path for change in changes).meets(parse_pointer(step["path"]))
    for change in changes if strategy == "merge" else []:  # each change holds, or is told of
        there = get(made.head.value, change.path)
        room = change.value == {} and type(there) is dict
        assert same(there, change.value) or room or change.path in aside


@settings(deadline=None)
@given(
    value=flat,
    edits=st.lists(st.tuples(st.integers(1, 9), flat), min_size=1, max_size=4),
    times_too=st.data(),
)
def test_under_last_the_latest_stands_whichever_is_settled_first(
    value: dict[str, Any], edits: list[tuple[int, dict[str, Any]]], times_too: st.DataObject
) -> None:
    order = times_too.draw(st.permutations(range(len(edits))))
    made = store("last", value, step=0)
    for place in order:
        time, own = edits[place]
        made.one(edit(Set({"by": place} | own), 1, made_at=time), str(place))
    newest = max(time for time, _ in edits)
    latest = [place for place in order if edits[place][0] == newest][-1]
    assert made.head.value == {"by": latest} | edits[latest][1]


@settings(deadline=None)
@given(
    value=flat,
    edits=st.lists(st.tuples(st.integers(1, 9), flat), min_size=1, max_size=4),
    data=st.data(),
)
def test_under_merge_the_latest_stands_at_each_path_whichever_is_settled_first(
    value: dict[str, Any], edits: list[tuple[int, dict[str, Any]]], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(edits))))
    made = store("merge", value, step=0)
    for place in order:
        time, own = edits[place]
        patch = {name: None if part is None else f"{place}" for name, part in own.items()}
        made.one(edit(Merge(patch), 1, made_at=time), str(place))
    for name in "abc":
        takers = [place for place in order if name in edits[place][1]]
        removed = {place for place in takers if edits[place][1][name] is None}
        if not takers or (removed and len(takers) > 1):
            continue  # two who both remove it agree, which makes no version to be later than
        newest = max(edits[place][0] for place in takers)
        latest = [place for place in takers if edits[place][0] == newest][-1]
        expected = MISSING if latest in removed else f"{latest}"
        assert get(made.head.value, (name,)) == expected


@pytest.mark.parametrize("strategy", ["first", "ask"])
@settings(deadline=None)
@given(value=documents, theirs=documents, operation=operations, time=times)
def test_first_and_ask_never_change_anything_in_silence(
    strategy: StrategyName,
    value: dict[str, Any],
    theirs: dict[str, Any],
    operation: PlainOperation,
    time: int | None,
) -> None:
    assume(not same(value, theirs) and not isinstance(operation, Add))
    made = store(strategy, value, theirs)
    before = made.head
    settlement = made.one(edit(operation, 1, made_at=time))
    assert made.head == before
    assert settlement.outcome == "refused"
    assert settlement.refusal is not None
    assert settlement.refusal.conflict is not None
    assert same(settlement.refusal.conflict.current, theirs)


@pytest.mark.parametrize("strategy", ["first", "ask"])
@pytest.mark.parametrize("between", [Add({"/a": 1}), Call("tidy", 1)], ids=["add", "call"])
def test_what_follows_an_edit_that_others_came_before_is_refused_by_first_and_ask(
    strategy: StrategyName, between: Add | Call
) -> None:
    """The add went through beside the others; its client has not seen what they did."""
    made = store(strategy, {"a": 1}, {"a": 1, "b": 2})
    assert made.one(edit(between, 1, 1)).outcome == "settled"
    before = made.head
    settlement = made.one(edit(Set({"a": 5}), OwnEdit(1), 2))
    assert (settlement.outcome, made.head) == ("refused", before)
