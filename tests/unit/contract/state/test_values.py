"""What a document may hold, and its digest."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given

from client_sdk.contract.digest import MAX_INTEGER
from client_sdk.contract.errors import StateValueError
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.values import check_document
from tests.unit.contract.state.samples import documents


def nested(depth: int) -> dict[str, Any]:
    """An object with so many levels, itself the first."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def refused_at(value: Any) -> str | None:
    """Where in the document stands what may not stand there; None: it may be stored."""
    try:
        check_document(value)
    except StateValueError as error:
        return error.pointer
    return None


@given(documents)
def test_what_json_has_without_fractions_may_stand_in_a_document(value: dict[str, Any]) -> None:
    assert refused_at(value) is None


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"a": {"b": [1, 1.5]}}, "/a/b/1"),
        ({"a": 1.0}, "/a"),
        ({"a": MAX_INTEGER + 1}, "/a"),
        ({"a/b": -MAX_INTEGER - 1}, "/a~1b"),
        ({"a": {"김밥": 1}}, "/a/\\uae40\\ubc25"),
        ({"a": {"x\x00": 1}}, "/a/x\\x00"),
        ({"a": ["\x00"]}, "/a/0"),
        ({"a": "\ud800"}, "/a"),
        ({"a": (1, 2)}, "/a"),
        ({"a": float("nan")}, "/a"),
        ({1: 2}, "/1"),
        ([1], ""),
        (None, ""),
    ],
    ids=ascii,
)
def test_anything_else_is_refused_with_its_place(value: Any, pointer: str) -> None:
    assert refused_at(value) == pointer


def test_the_largest_integers_and_the_greatest_depth_may_stand_there() -> None:
    assert refused_at({"a": MAX_INTEGER, "b": -MAX_INTEGER}) is None
    assert refused_at(nested(MAX_VALUE_DEPTH)) is None


def test_one_level_more_is_refused() -> None:
    with pytest.raises(StateValueError, match="nested"):
        check_document(nested(MAX_VALUE_DEPTH + 1))


@given(documents)
def test_the_hash_is_made_as_the_protocol_says(value: dict[str, Any]) -> None:
    content = sha256(rfc8785.dumps(value)).hexdigest()
    whole = sha256(f"cart:7:{content}".encode()).digest()
    assert document_hash("cart", 7, value) == int.from_bytes(whole[:16], "big")


def test_key_version_and_value_all_count() -> None:
    hashes = {
        document_hash(key, version, value)
        for key in ("a", "b")
        for version in (1, 2)
        for value in ({}, {"x": 1})
    }
    assert len(hashes) == 8


def test_a_deleted_document_adds_nothing() -> None:
    assert document_hash("cart", 7, None) == 0
