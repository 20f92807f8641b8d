"""The content digest: whatever differs in an order that is shown, the digest differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.client.order_book import OrderBook
from client_sdk.contract.digest import (
    MAX_INTEGER,
    canonical,
    content_hash,
    format_content_digest,
)
from client_sdk.contract.order import decode_event
from client_sdk.contract.sync import decode_sync
from tests.conformance import cases

CHANNEL = "store:12"
WHOLE: dict[str, Any] = cases.order(
    {
        "id": "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5",
        "items": [
            {"name": "김밥", "quantity": 2, "unit_price": 3500, "note": "no onions"},
            {"name": "Tteokbokki", "quantity": 1, "unit_price": 2500, "note": ""},
        ],
        "note": "by the window",
        "reference": "A-7",
        "open": True,
        "guest": {"name": "Kim 🍜", "phone": "010"},
        "placed_by": "pos-7",
        "from_a_newer_core": {"tip": 500, "paid": [1, 2]},
    }
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(max_codepoint=0x7F), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(values)
def test_the_canonical_form_is_that_of_an_independent_library(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


_CODES = (*range(0x21), 0x22, 0x2F, 0x5C, 0x7F, 0x85, 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFF)


@pytest.mark.parametrize("code", [*_CODES, 0x10000, 0x1F35C, 0x10FFFF])
def test_each_letter_that_is_easily_written_in_two_ways_has_one(code: int) -> None:
    assert canonical(chr(code)) == rfc8785.dumps(chr(code))


def test_the_hash_is_the_one_that_the_protocol_describes() -> None:
    expected = sha256(rfc8785.dumps(WHOLE)).hexdigest()[:32]
    assert format_content_digest(content_hash(json.dumps(WHOLE))) == expected


@pytest.mark.parametrize("other", [json.dumps(WHOLE, indent=3), json.dumps(WHOLE, sort_keys=True),
                                   json.dumps(WHOLE, ensure_ascii=False)])  # fmt: skip
def test_how_the_text_is_written_does_not_count(other: str) -> None:
    assert content_hash(other) == content_hash(json.dumps(WHOLE))


def flipped(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The value with one thing in it changed, left out or added, each in turn."""
    where = ".".join(map(str, path)) or "the order"
    if isinstance(value, dict):
        for key, part in value.items():
            for name, other in flipped(part, (*path, key)):
                yield name, value | {key: other}
            yield f"{where} without {key}", {k: v for k, v in value.items() if k != key}
        yield f"{where} with one name more", value | {"more": None}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            for name, other in flipped(part, (*path, place)):
                yield name, [*value[:place], other, *value[place + 1 :]]
        yield f"{where} backwards", value[::-1]
        yield f"{where} cut", value[:-1]
    elif isinstance(value, bool):
        yield where, not value
    elif isinstance(value, int):
        yield where, value + 1
    elif isinstance(value, str):
        yield where, value + " "
        yield f"{where} as null", None
    else:
        yield where, "something"


FLIPPED = dict(flipped(WHOLE))


def book_of(*orders: Any) -> OrderBook:
    """A book that took these from a snapshot; what cannot be shown at all raises."""
    part = cases.answer({"reset": "first_sync", "snapshot": {"head": 1, "orders": []}})
    part["snapshot"]["orders"] = list(orders)
    answer = decode_sync(json.dumps(cases.response({}) | {"channels": [part]}).encode())
    snapshot = answer.channels[0].snapshot
    assert snapshot is not None
    book = OrderBook()
    book.replace(CHANNEL, snapshot.orders)
    return book


@pytest.mark.parametrize("name", FLIPPED)
def test_any_single_difference_of_an_order_in_the_book_shows(name: str) -> None:
    right = book_of(WHOLE, cases.order({"id": "b"})).content_digest(CHANNEL)
    try:
        wrong = book_of(FLIPPED[name], cases.order({"id": "b"}))
    except msgspec.DecodeError:
        return  # it is never shown
    assert right is not None
    assert wrong.content_digest(CHANNEL) not in (right, None)


def test_the_flips_reach_every_part_of_the_order() -> None:
    reached = {name.split(" ")[0] for name in FLIPPED}
    assert {"status", "items.1.quantity", "items.0.note", "guest.phone", "total"} <= reached
    assert {"open", "note", "placed_by", "updated_at", "table_id"} <= reached
    assert "from_a_newer_core.paid.1" in reached


@given(st.permutations(["a", "b", "c", "d"]))
@settings(deadline=None, max_examples=20)
def test_the_order_of_orders_and_the_way_they_came_do_not_count(ids: list[str]) -> None:
    by_events = OrderBook()
    for seq, key in enumerate(ids, 1):
        by_events.apply(decode_event(json.dumps(cases.event({"seq": seq, "order": {"id": key}}))))
    by_snapshot = book_of(*(cases.order({"id": key}) for key in "abcd"))
    assert by_events.content_digest(CHANNEL) == by_snapshot.content_digest(CHANNEL)


def test_an_order_that_was_not_read_from_the_wire_makes_it_unknown_until_it_goes() -> None:
    book = book_of(cases.order({"id": "a"}))
    known = book.content_digest(CHANNEL)
    made = msgspec.convert(cases.order({"id": "b"}), type(book.in_channel(CHANNEL)[0]))
    book.merge(CHANNEL, [made])
    assert book.content_digest(CHANNEL) is None
    over = {"seq": 2, "order": {"id": "b", "version": 2, "status": "paid"}}
    book.apply(decode_event(json.dumps(cases.event(over))))
    assert book.content_digest(CHANNEL) == known
