"""JSON Pointer: RFC 6901, sections 3 to 5, as data, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.errors import PointerError
from client_sdk.contract.limits import MAX_VALUE_DEPTH
from client_sdk.contract.state.pointer import MISSING, format_pointer, get, parse_pointer

# Section 5 of the RFC.
DOCUMENT: dict[str, Any] = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_rfc_lead_where_it_says(pointer: str, value: object) -> None:
    assert get(DOCUMENT, parse_pointer(pointer)) == value


def test_tilde_one_behind_an_escaped_tilde_is_text() -> None:
    assert parse_pointer("/~01") == ("~1",)


@pytest.mark.parametrize(
    "text", ["foo", "/a" * (MAX_VALUE_DEPTH + 1), "#/foo", "/~", "/~2", "/a~", " /a"]
)
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(PointerError):
        parse_pointer(text)


@pytest.mark.parametrize("pointer", ["/foo/2", "/foo/-", "/foo/00", "/foo/+1", "/foo/x", "/none",
                                     "/foo/0/1", "/foo/²", "/none/0"])  # fmt: skip
def test_where_nothing_stands_is_missing(pointer: str) -> None:
    assert get(DOCUMENT, parse_pointer(pointer)) is MISSING


def test_null_is_not_missing() -> None:
    assert get({"a": None}, ("a",)) is None


@given(st.lists(st.text(max_size=5), max_size=MAX_VALUE_DEPTH).map(tuple))
def test_a_path_that_is_written_reads_as_itself(path: tuple[str, ...]) -> None:
    assert parse_pointer(format_pointer(path)) == path
