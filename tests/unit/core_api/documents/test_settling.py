"""What an edit is made on, what is refused, and the versions that edits make."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from client_sdk.contract.digest import MAX_INTEGER, canonical
from client_sdk.contract.limits import MAX_VALUE_BYTES, MAX_VALUE_DEPTH
from client_sdk.contract.state.edit import Edit, OwnEdit
from client_sdk.contract.state.operations import Add, Call, Delete, Merge, Patch, Set
from core_api.documents.basis import OwnResult
from core_api.documents.definitions import Definition
from core_api.documents.kept_versions import Head, History
from core_api.documents.refusals import CallRefusedError, EditRefusal
from core_api.documents.settling import settle
from tests.unit.core_api.documents.samples import ANY, Store, at, definition, edit, store
from tests.unit.core_api.samples import NOW


def refused(made: Store, change: Edit) -> EditRefusal:
    """Why the edit is refused; it has changed nothing."""
    before = made.head
    settlement = made.one(change, "x")
    assert settlement.refusal is not None
    assert (settlement.outcome, settlement.result, made.head) == ("refused", None, before)
    return settlement.refusal


# versions


def test_each_edit_that_takes_effect_makes_one_version_and_the_next_sees_it() -> None:
    made = Store(ANY["first"])
    settled = made.settle(
        ("a", edit(Set({"q": 1}), 0)), ("b", edit(Merge({"r": 2}), 1)), ("c", edit(Delete(), 2))
    )
    assert [one.made and one.made.operation for one in settled] == ["create", "update", "delete"]
    assert [one.made and one.made.version for one in settled] == [1, 2, 3]
    assert made.diffs == [
        [{"op": "add", "path": "", "value": {"q": 1}}],
        [{"op": "add", "path": "/r", "value": 2}],
        [{"op": "remove", "path": ""}],
    ]


def test_a_refused_edit_does_not_hold_up_those_after_it() -> None:
    made = Store(ANY["first"])
    settled = made.settle(("a", edit(Merge({"q": 1}), 5, 1)), ("a", edit(Merge({"q": 1}), 0, 2)))
    assert [one.outcome for one in settled] == ["refused", "applied"]


def test_an_edit_is_settled_without_touching_the_history_that_was_given() -> None:
    history = History()
    settle(edit(Set({"q": 1})), Head(), history, ANY["merge"], NOW, lambda _n: None)
    assert history.after(0) == []


def test_a_version_has_its_value_as_rfc_8785_writes_it() -> None:
    made = Store(ANY["merge"]).one(edit(Set({"b": 1, "a": "김밥"}))).made
    assert made is not None
    assert made.content == canonical({"a": "김밥", "b": 1})


def test_an_edit_that_changes_nothing_is_applied_without_a_version() -> None:
    made = store("merge", {"q": 1})
    settlement = made.one(edit(Merge({"q": 1}), 1))
    assert (settlement.outcome, settlement.made, settlement.head.version) == ("applied", None, 1)


def test_a_version_shares_with_the_one_before_what_stayed_the_same() -> None:
    made = store("merge", {"left": {"x": 1}, "q": 1}, {"left": {"x": 1}, "q": 2})
    before = made.head.value
    made.one(edit(Merge({"r": 1}), 1))
    assert before is not None
    assert made.head.value is not None
    assert made.head.value["left"] is before["left"]


# bases


def test_what_was_made_on_a_refused_edit_is_refused_and_so_is_all_after_it() -> None:
    made = store("first", {"q": 1}, {"q": 2})
    edits = [
        ("a", edit(Set({"q": 3}), 1, 1)),
        ("a", edit(Set({"q": 4}), OwnEdit(1), 2)),
        ("a", edit(Set({"q": 5}), OwnEdit(2), 3)),
    ]
    slugs = [one.refusal and one.refusal.slug for one in made.settle(*edits)]
    assert slugs == ["edit-conflict", "depends", "depends"]


def test_another_clients_edit_of_that_number_is_no_base() -> None:
    made = store("first", {"q": 1})
    made.one(edit(Merge({"r": 1}), 1, 1), "b")
    assert refused(made, edit(Merge({"s": 1}), OwnEdit(1), 2)).slug == "depends"


def test_what_was_made_on_an_edit_that_was_put_aside_stays_concurrent() -> None:
    made = store("last", {"q": 1}, {"q": 2})
    assert made.one(edit(Set({"q": 3}), 1, 1, made_at=15)).outcome == "put-aside"
    assert made.one(edit(Set({"q": 4}), OwnEdit(1), 2, made_at=16)).outcome == "put-aside"


def test_what_was_made_on_a_settled_edit_takes_away_nothing_that_its_client_never_saw() -> None:
    """The second sets the whole cart, as its client saw it: without the other's line."""
    made = store("merge", {"lines": {}}, {"lines": {"other": {"q": 1}}})
    made.one(edit(Set({"lines": {"a": {"q": 1}}}), 1, 1))
    made.one(edit(Set({"lines": {"a": {"q": 1}, "b": {"q": 1}}}), OwnEdit(1), 2))
    assert made.head.value == {"lines": {"other": {"q": 1}, "a": {"q": 1}, "b": {"q": 1}}}


def test_what_was_made_on_an_applied_edit_is_concurrent_with_what_came_after_that() -> None:
    made = store("first", {"q": 1})
    made.one(edit(Merge({"r": 1}), 1, 1))
    made.one(edit(Merge({"s": 1}), 2, 1), "b")
    refusal = made.one(edit(Merge({"r": 2}), OwnEdit(1), 2)).refusal
    assert refusal is not None
    assert refusal.slug == "edit-conflict"


def test_a_settled_edit_without_a_known_view_goes_by_what_the_client_says_it_saw() -> None:
    made = store("merge", {"q": 1}, {"q": 2, "r": 1})
    own = OwnResult(2, 1, plain=False, time=at(15))
    settlement = settle(
        edit(Merge({"q": 4}), OwnEdit(1), 2, seen={"/q": 2}),
        made.head,
        made.history,
        ANY["merge"],
        NOW,
        lambda _: own,
    )
    assert settlement.head.value == {"q": 4, "r": 1}


def test_a_base_beyond_the_newest_version_is_refused() -> None:
    assert refused(store("merge", {"q": 1}), edit(Merge({"q": 2}), 2)).slug == "base-ahead"


def test_an_edit_without_a_base_is_concurrent_with_all_that_there_is() -> None:
    assert refused(store("first", {"q": 1}), edit(Set({}), None)).slug == "edit-conflict"


def test_an_edit_without_a_base_makes_the_document_that_never_was() -> None:
    assert Store(ANY["first"]).one(edit(Set({"q": 1}), None)).outcome == "applied"


# refusals


def test_an_edit_that_is_too_old_is_refused() -> None:
    made = Store(definition("merge", max_age_s=60))
    old = NOW - timedelta(seconds=60)
    assert refused(made, edit(Set({}), made_at=old - timedelta(seconds=1))).slug == "too-late"
    assert made.one(edit(Set({}), made_at=old)).outcome == "applied"


def test_an_edit_of_a_document_that_has_ended_is_refused() -> None:
    made = Store(definition("merge", lifetime="until", until=NOW))
    assert refused(made, edit(Set({}))).slug == "too-late"


def test_a_patch_that_does_not_apply_is_refused() -> None:
    steps = [{"op": "remove", "path": "/none"}]
    assert refused(store("merge", {"q": 1}), edit(Patch(steps), 1)).slug == "patch-failed"


@pytest.mark.parametrize(
    ("do", "pointer"),
    [
        (Set({"a": {"b": [0.5]}}), "/a/b/0"),
        (Merge({"q": MAX_INTEGER + 1}), "/q"),
        (Add({"/q": MAX_INTEGER}), "/q"),
        (Merge({"l": {"김밥": 1}}), "/l/\\uae40\\ubc25"),
        (Merge({"김밥": 1}), "/\\uae40\\ubc25"),
    ],
    ids=str,
)
def test_a_value_that_no_document_may_hold_is_refused_with_its_pointer(
    do: Any, pointer: str
) -> None:
    refusal = refused(store("merge", {"q": 1, "l": {}}), edit(do, 1))
    assert (refusal.slug, refusal.pointer) == ("invalid", pointer)


def test_depth_counts_from_the_document_not_from_the_change() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_VALUE_DEPTH - 1):
        deep = {"a": deep}
    path = "/a" * (MAX_VALUE_DEPTH - 1)
    made = store("merge", deep)
    assert made.one(edit(Patch([{"op": "add", "path": f"{path}/x", "value": 1}]), 1)).made
    steps = [{"op": "add", "path": f"{path}/y", "value": {}}]
    assert refused(made, edit(Patch(steps), 2)).slug == "invalid"


def test_a_value_that_breaks_its_schema_is_refused_with_its_pointer() -> None:
    schema = {"properties": {"lines": {"additionalProperties": {"required": ["name"]}}}}
    made = Store(definition("merge", schema=schema))
    refusal = refused(made, edit(Set({"lines": {"a/7": {}}})))
    assert (refusal.slug, refusal.pointer) == ("invalid", "/lines/a~17")


@pytest.mark.parametrize(("more", "slug"), [(0, None), (1, "too-large")])
def test_a_value_may_have_256_kib(more: int, slug: str | None) -> None:
    text = "x" * (MAX_VALUE_BYTES - len('{"a":""}') + more)
    settlement = Store(ANY["merge"]).one(edit(Set({"a": text})))
    assert (settlement.refusal and settlement.refusal.slug) == slug


def test_a_diff_is_of_the_whole_value_where_its_paths_would_be_longer() -> None:
    """Each changed member repeats the names above it: a short edit could store a huge diff."""
    name = "n" * 20_000
    before = {"a": 1, name: {f"{n}": 0 for n in range(100)}}
    after = {"a": 1, name: {f"{n}": 1 for n in range(100)}}
    made = store("merge", before)
    assert made.one(edit(Set(after), 1)).outcome == "applied"
    (step,) = made.diffs[-1]
    assert step == {"op": "replace", "path": "", "value": after}
    assert made.one(edit(Merge({name: {"1": 2}}), 2, 2)).outcome == "applied"
    assert made.diffs[-1] == [{"op": "replace", "path": f"/{name}/1", "value": 2}]


def test_many_parts_that_are_put_aside_are_told_by_those_above_them() -> None:
    name = "n" * 2_000
    parts = {f"{n}": 0 for n in range(100)}
    made = store("merge", {"a": 0, name: parts}, {"a": 1, name: dict.fromkeys(parts, 1)})
    settlement = made.one(edit(Set({"a": 2, name: dict.fromkeys(parts, 2)}), 1, made_at=1), "x")
    assert (settlement.outcome, settlement.aside) == ("put-aside", ("/a", f"/{name}"))
    few = dict(list(parts.items())[:3])
    settlement = made.one(edit(Merge({name: dict.fromkeys(few, 3)}), 1, made_at=1), "y")
    assert settlement.aside == tuple(f"/{name}/{n}" for n in range(3))


# calls


def refuse_to(_current: Any, _arguments: Any) -> Any:
    raise CallRefusedError("not now")


def spoil(current: Any, arguments: Any) -> Any:
    current["q"] = arguments["q"] = 99
    raise ZeroDivisionError


CALLS = {"refuse": refuse_to, "spoil": spoil, "text": lambda _current, _arguments: "text",
         "drop": lambda _current, _arguments: None,
         "half": lambda _current, _arguments: {"a": 0.5}}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("refuse", "call-refused"),
        ("spoil", "call-refused"),
        ("text", "call-refused"),
        ("half", "invalid"),
        ("none", "forbidden-operation"),
    ],
)
def test_a_call_that_refuses_or_fails_is_a_refusal_and_spoils_nothing(name: str, slug: str) -> None:
    made = Store(definition("merge", calls=CALLS))
    made.one(edit(Set({"q": 1})))
    arguments = {"q": 1}
    assert refused(made, edit(Call(name, arguments), 1)).slug == slug
    assert (made.head.value, arguments) == ({"q": 1}, {"q": 1})


def test_a_call_may_delete_the_document() -> None:
    made = Store(definition("merge", calls=CALLS))
    made.one(edit(Set({"q": 1})))
    assert made.one(edit(Call("drop"), 1)).head.value is None


# schema versions


def rename(value: dict[str, Any]) -> dict[str, Any]:
    """From schema 1 to 2: `q` is called `quantity`."""
    value["quantity"] = value.pop("q", 0)
    return value


def double(value: dict[str, Any]) -> dict[str, Any]:
    """From schema 2 to 3: `halves` are counted, too."""
    return value | {"halves": 2 * value["quantity"]}


def upgraded(strategy: Any = "merge", **more: Any) -> Definition:
    return definition(strategy, schema_version=3, migrations={1: rename, 2: double}, **more)


def old_store(strategy: Any = "merge") -> Store:
    """A document of schema 1, whose definition has gone on to schema 3."""
    made = Store(definition(strategy))
    made.one(edit(Set({"q": 1}), made_at=10))
    made.definition = upgraded(strategy)
    return made


def test_a_value_of_an_older_schema_is_migrated_before_an_edit_is_applied() -> None:
    made = old_store()
    made.one(edit(Merge({"note": "x"}), 1))
    assert made.head.value == {"quantity": 1, "halves": 2, "note": "x"}
    assert made.head.schema_version == 3
    assert made.diffs[-1][-1] == {"op": "add", "path": "/quantity", "value": 1}


@pytest.mark.parametrize(
    ("do", "result"),
    [
        (Set({"q": 4}), {"quantity": 4, "halves": 8}),
        (Merge({"q": 4}), {"quantity": 4, "halves": 8}),
        (Add({"/q": 3}), {"quantity": 4, "halves": 8}),
        (Patch([{"op": "replace", "path": "/q", "value": 4}]), {"quantity": 4, "halves": 8}),
        (Delete(), None),
    ],
    ids=str,
)
def test_an_edit_for_an_older_schema_is_applied_there_and_migrated(do: Any, result: Any) -> None:
    made = old_store()
    assert made.one(edit(do, 1, schema=1)).outcome == "applied"
    assert made.head.value == result


def test_a_concurrent_edit_for_an_older_schema_is_settled_by_its_difference() -> None:
    made = old_store()
    made.one(edit(Merge({"note": "x"}), 1), "b")
    assert made.one(edit(Merge({"q": 4}), 1, schema=1, made_at=99)).outcome == "settled"
    assert made.head.value == {"quantity": 4, "halves": 8, "note": "x"}


def test_a_later_edit_for_an_older_schema_leaves_under_last_what_it_did_not_change() -> None:
    made = old_store("last")
    made.one(edit(Merge({"note": "x"}), 1, made_at=20), "b")
    made.one(edit(Merge({"q": 4}), 1, schema=1, made_at=99))
    assert made.head.value == {"quantity": 4, "halves": 8, "note": "x"}


def test_an_old_add_beside_others_adds_what_it_adds() -> None:
    made = old_store("first")
    made.one(edit(Merge({"quantity": 5}), 1), "b")
    made.one(edit(Add({"/q": 3}), 1, schema=1))
    assert made.head.value == {"quantity": 8, "halves": 8}


def test_a_chain_of_edits_for_an_older_schema_goes_through() -> None:
    made = old_store()
    for n, base in ((1, 1), (2, OwnEdit(1)), (3, OwnEdit(2))):
        outcome = made.one(edit(Add({"/q": 1}), base, n, schema=1)).outcome
        assert outcome == "applied"
    assert made.head.value == {"quantity": 4, "halves": 8}


def test_where_the_base_is_not_kept_an_older_edit_is_taken_by_its_base_value() -> None:
    head = Head(9, {"quantity": 1, "halves": 2}, 3, at(50))
    change = edit(Merge({"q": 4}), 5, schema=1, base_value={"q": 1})
    settlement = settle(change, head, History(), upgraded(), NOW, lambda _: None)
    assert settlement.head.value == {"quantity": 4, "halves": 8}


def test_where_it_cannot_be_applied_at_its_schema_it_is_outdated() -> None:
    head = Head(9, {"quantity": 1, "halves": 2}, 3, at(50))
    for base in (5, 9):  # not kept; kept, but only as the newest schema has it
        change = edit(Merge({"q": 4}), base, schema=1)
        refusal = settle(change, head, History(), upgraded(), NOW, lambda _: None).refusal
        assert refusal is not None
        assert refusal.slug == "edit-outdated"


def test_a_value_that_cannot_be_migrated_is_outdated() -> None:
    made = old_store()
    made.definition = definition(schema_version=3, migrations={2: double})
    assert refused(made, edit(Set({"q": 4}), 1, schema=1)).slug == "edit-outdated"


def test_a_schema_that_is_not_known_yet_is_refused() -> None:
    assert refused(old_store(), edit(Set({}), 1, schema=4)).slug == "schema-ahead"
