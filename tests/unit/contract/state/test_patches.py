"""JSON Patch: the examples of RFC 6902, appendix A, as data; differences; what is never touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.errors import PatchError
from client_sdk.contract.state.patch import apply_patch, diff
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.state.values import same
from tests.unit.contract.state.samples import values

Patch = list[dict[str, Any]]

APPENDIX_A: dict[str, tuple[Any, Patch, Any]] = {
    "A.1 adding an object member": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux"}],
        {"baz": "qux", "foo": "bar"},
    ),
    "A.2 adding an array element": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A.3 removing an object member": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "remove", "path": "/baz"}],
        {"foo": "bar"},
    ),
    "A.4 removing an array element": (
        {"foo": ["bar", "qux", "baz"]},
        [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["bar", "baz"]},
    ),
    "A.5 replacing a value": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A.6 moving a value": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A.7 moving an array element": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A.8 testing a value: success": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [
            {"op": "test", "path": "/baz", "value": "qux"},
            {"op": "test", "path": "/foo/1", "value": 2},
        ],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A.9 testing a value: error": (
        {"baz": "qux"},
        [{"op": "test", "path": "/baz", "value": "bar"}],
        PatchError,
    ),
    "A.10 adding a nested member object": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A.11 ignoring unrecognized elements": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A.12 adding to a nonexistent target": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz/bat", "value": "qux"}],
        PatchError,
    ),
    "A.13 invalid operation": (
        {"foo": "bar"},
        [{"op": "remove add", "path": "/baz", "value": "qux"}],
        PatchError,
    ),
    "A.14 ~ escape ordering": (
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": 10}],
        {"/": 9, "~1": 10},
    ),
    "A.15 comparing strings and numbers": (
        {"/": 9, "~1": 10},
        [{"op": "test", "path": "/~01", "value": "10"}],
        PatchError,
    ),
    "A.16 adding an array value": (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
}


@pytest.mark.parametrize("name", APPENDIX_A)
def test_the_examples_of_the_rfc_come_out_as_it_says(name: str) -> None:
    before, patch, after = APPENDIX_A[name]
    if after is PatchError:
        with pytest.raises(PatchError):
            apply_patch(before, patch)
    else:
        assert apply_patch(before, patch) == after


@pytest.mark.parametrize(
    "step",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "remove", "path": "/list/-"},
        {"op": "move", "from": "/deep", "path": "/deep/er"},
        {"op": "move", "from": "/none", "path": "/deep"},
        {"op": "move", "from": "", "path": "/deep"},
        {"op": "copy", "from": "/none", "path": "/deep"},
        {"op": "add", "path": "/text/x", "value": 1},
        {"op": "add", "path": "text", "value": 1},
        {"op": "add", "path": "/text"},
        {"op": "add", "value": 1},
        {"op": "move", "path": "/text"},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/none", "value": None},
        {"path": "/text", "value": 1},
    ],
    ids=str,
)
def test_what_does_not_apply_names_the_operation_and_leaves_nothing_done(
    step: dict[str, Any],
) -> None:
    before: dict[str, Any] = {"list": [1, 2], "deep": {"er": {}}, "text": "x", "one": 1}
    with pytest.raises(PatchError) as caught:
        apply_patch(before, [{"op": "add", "path": "/new", "value": 1}, step])
    assert caught.value.index == 1
    assert before == {"list": [1, 2], "deep": {"er": {}}, "text": "x", "one": 1}


def test_only_what_lies_on_the_path_is_copied() -> None:
    before: dict[str, Any] = {"touched": {"left": {"x": 1}, "list": [1]}, "left": {"y": [1, 2]}}
    after = apply_patch(before, [{"op": "add", "path": "/touched/new", "value": 1}])
    assert after["left"] is before["left"]
    assert after["touched"]["left"] is before["touched"]["left"]
    assert after["touched"] is not before["touched"]


def test_a_copy_and_its_original_change_apart() -> None:
    patch: Patch = [
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/a/y", "value": 2},
        {"op": "copy", "from": "/a", "path": "/a/z"},
    ]
    assert apply_patch({"a": {}}, patch) == {"a": {"x": 1, "y": 2, "z": {"x": 1, "y": 2}},
                                             "b": {"x": 1}}  # fmt: skip


def test_a_short_patch_cannot_make_an_endless_value() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(64)]
    with pytest.raises(PatchError, match=r"copies more|too deep"):
        apply_patch({"a": "x" * 100}, doubling)


def test_copies_count_in_all() -> None:
    copies = [{"op": "copy", "from": "/a", "path": f"/{n}"} for n in range(3)]
    assert len(apply_patch({"a": "x" * 100_000}, copies[:2])) == 3
    with pytest.raises(PatchError, match="copies more"):
        apply_patch({"a": "x" * 100_000}, copies)


def test_moves_cannot_nest_a_value_without_end() -> None:
    deep: dict[str, Any] = {"a": {}}
    for _ in range(28):
        deep = {"a": deep}
    patch: Patch = [{"op": "add", "path": "/0", "value": deep}]
    for n in range(1, 40):
        patch.append({"op": "add", "path": f"/{n}", "value": deep})
        patch.append({"op": "move", "from": f"/{n - 1}", "path": f"/{n}" + "/a" * 29 + "/b"})
    with pytest.raises(PatchError, match="nest"):
        apply_patch({}, patch)


def test_the_whole_value_is_made_and_taken_away_like_a_member() -> None:
    made = apply_patch(MISSING, [{"op": "add", "path": "", "value": {"a": 1}}])
    assert made == {"a": 1}
    assert apply_patch(made, [{"op": "remove", "path": ""}]) is MISSING


@given(values | st.just(MISSING), values | st.just(MISSING))
def test_the_difference_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    made = apply_patch(before, diff(before, after))
    assert same(made, after)


@given(values, values)
def test_a_difference_is_empty_only_between_the_same_values(before: Any, after: Any) -> None:
    assert (diff(before, after) == []) == (
        json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    )


@given(values, values)
def test_neither_patch_nor_difference_touches_what_it_is_given(before: Any, after: Any) -> None:
    texts = json.dumps([before, after])
    steps = diff(before, after)
    written = json.dumps(steps)
    apply_patch(before, [*steps, {"op": "add", "path": "", "value": after}, *diff(after, before)])
    assert (json.dumps([before, after]), json.dumps(steps)) == (texts, written)


def test_an_array_is_one_value_and_names_come_in_order() -> None:
    steps = diff({"z": [1, 2], "b": 1, "a": {"x": 1}}, {"z": [1], "c": 1, "a": {"x": 2}})
    assert steps == [
        {"op": "replace", "path": "/a/x", "value": 2},
        {"op": "remove", "path": "/b"},
        {"op": "add", "path": "/c", "value": 1},
        {"op": "replace", "path": "/z", "value": [1]},
    ]


def test_true_is_another_value_than_1() -> None:
    assert diff({"a": 1, "b": [0]}, {"a": True, "b": [False]}) == [
        {"op": "replace", "path": "/a", "value": True},
        {"op": "replace", "path": "/b", "value": [False]},
    ]
