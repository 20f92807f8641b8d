"""The six operations: their form on the wire, and what they do to a document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from client_sdk.contract.errors import OperationError, PatchError, StateError, StateValueError
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.state.operations import (
    Add,
    Call,
    Delete,
    Merge,
    Patch,
    Set,
    apply,
    decode_operation,
    encode_operation,
)
from tests.unit.contract.state.samples import documents

WIRE: list[tuple[dict[str, Any], Any]] = [
    ({"set": {"a": 1}}, Set({"a": 1})),
    ({"merge": {"a": None}}, Merge({"a": None})),
    ({"patch": [{"op": "remove", "path": "/a"}]}, Patch([{"op": "remove", "path": "/a"}])),
    ({"add": {"/a/b": -1}}, Add({"/a/b": -1})),
    ({"delete": True}, Delete()),
    ({"call": {"name": "ring", "arguments": [1]}}, Call("ring", [1])),
]


@pytest.mark.parametrize(("wire", "operation"), WIRE, ids=str)
def test_each_operation_has_one_form_on_the_wire(wire: dict[str, Any], operation: Any) -> None:
    assert decode_operation(wire) == operation
    assert encode_operation(operation) == wire


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        {},
        {"set": {}, "merge": {}},
        {"put": {}},
        {"set": [1]},
        {"merge": 1},
        {"patch": {}},
        {"patch": [1]},
        {"patch": [{"op": "swap", "path": "/a"}]},
        {"patch": [{"op": "add", "path": "/a"}]},
        {"patch": [{"op": "move", "path": "/a"}]},
        {"patch": [{"op": {}, "path": "/a", "value": 1}]},
        {"patch": [{"op": ["add"], "path": "/a", "value": 1}]},
        {"patch": [{"op": "add", "path": 5, "value": 1}]},
        {"patch": [{"op": "remove", "path": {"a": []}}]},
        {"patch": [{"op": "copy", "from": None, "path": "/a"}]},
        {"add": {}},
        {"add": {"": 1}},
        {"add": {"a": 1}},
        {"add": {"/a": True}},
        {"add": {"/a": 1.5}},
        {"delete": False},
        {"call": {"arguments": 1}},
        {"call": {"name": "a b"}},
        {"call": {"name": "ring", "now": 1}},
    ],
    ids=str,
)
def test_what_is_no_operation_is_refused(wire: Any) -> None:
    with pytest.raises(StateError):
        decode_operation(wire)


@pytest.mark.parametrize(
    ("wire", "pointer"),
    [
        ({"set": {"a": [0.5]}}, "/a/0"),
        ({"merge": {"a": {"b": 2**53}}}, "/a/b"),
        ({"patch": [{"op": "add", "path": "/a", "value": {"b": 0.5}}]}, "/a/b"),
        ({"add": {"/a": 2**53}}, "/a"),
        ({"call": {"name": "ring", "arguments": {"a": 0.5}}}, "/a"),
    ],
    ids=str,
)
def test_what_no_document_may_hold_is_refused_early_with_its_place(
    wire: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(StateValueError) as caught:
        decode_operation(wire)
    assert caught.value.pointer == pointer


def test_what_an_operation_of_a_patch_does_not_use_is_no_deeper_than_a_document() -> None:
    """It is kept in the history, which a reader with less room on its stack must decode, too."""
    step = {"op": "add", "path": "/a", "value": 1}
    assert decode_operation({"patch": [step | {"from": 5}]}) == Patch([step | {"from": 5}])
    deep: dict[str, Any] = {}
    for _ in range(MAX_VALUE_DEPTH):
        deep = {"a": deep}
    with pytest.raises(OperationError, match="'from': a document may be nested"):
        decode_operation({"patch": [step | {"from": deep}]})


def test_merge_and_add_begin_with_an_empty_document_where_there_is_none() -> None:
    assert apply(Merge({"a": {"b": 1}}), None) == {"a": {"b": 1}}
    assert apply(Add({"/a/b": 2}), None) == {"a": {"b": 2}}


def test_a_patch_can_make_a_document_only_whole() -> None:
    whole = Patch([{"op": "add", "path": "", "value": {"a": 1}}])
    assert apply(whole, None) == {"a": 1}
    with pytest.raises(PatchError):
        apply(Patch([{"op": "add", "path": "/a", "value": 1}]), None)


def test_to_delete_what_is_not_there_changes_nothing() -> None:
    assert apply(Delete(), None) is None
    assert apply(Delete(), {"a": 1}) is None


@pytest.mark.parametrize("value", [[1], 1, None])
def test_a_patch_that_leaves_no_object_is_refused(value: Any) -> None:
    with pytest.raises(OperationError):
        apply(Patch([{"op": "replace", "path": "", "value": value}]), {})


def test_a_patch_that_removes_the_whole_value_is_refused() -> None:
    with pytest.raises(OperationError):
        apply(Patch([{"op": "remove", "path": ""}]), {})


def test_add_counts_a_missing_number_as_0_and_makes_the_objects_on_the_way() -> None:
    assert apply(Add({"/a": 2, "/n/x": 3, "/n/y": -1}), {"a": 5, "n": {"x": 1}}) == {
        "a": 7,
        "n": {"x": 4, "y": -1},
    }


@pytest.mark.parametrize("there", [None, True, "1", [1], {}])
def test_add_is_refused_where_something_else_than_a_number_stands(there: Any) -> None:
    with pytest.raises(OperationError):
        apply(Add({"/a": 1}), {"a": there})


def test_add_does_not_go_through_an_array() -> None:
    with pytest.raises(OperationError):
        apply(Add({"/a/0": 1}), {"a": [1]})


def test_add_does_not_go_through_a_number() -> None:
    with pytest.raises(OperationError):
        apply(Add({"/a/b": 1}), {"a": 1})


@given(documents, documents)
def test_no_operation_touches_the_value_that_it_is_given(
    value: dict[str, Any], other: dict[str, Any]
) -> None:
    text = json.dumps([value, other])
    for operation in (Set(other), Merge(other), Add({"/new/x": 1}), Delete()):
        apply(operation, value)
    assert json.dumps([value, other]) == text
