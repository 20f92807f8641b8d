"""Idempotency keys: one spelling of a request, one hash; any other request, another."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.errors import BadRequestError
from core_api.orders.idempotency import parse_key, request_hash
from core_api.orders.lifecycle import (
    ANY_VERSION,
    ChangeOrder,
    NewGuest,
    NewItem,
    PlaceOrder,
    Seen,
    Transition,
)

ITEM = '{"name":"a","quantity":1,"unit_price":1}'
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def placed(text: str) -> bytes:
    return request_hash("place", "", msgspec.json.decode(text, type=PlaceOrder), ANY_VERSION)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255))
def test_visible_ascii_is_a_key_and_quotes_around_it_are_not_part_of_it(key: str) -> None:
    if key[0] == key[-1] == '"' and len(key) > 1:
        return
    assert parse_key(key) == key
    assert parse_key(f"  {key} ") == key
    if len(key) < 255:
        assert parse_key(f'"{key}"') == key


@pytest.mark.parametrize(
    "text",
    ["", " ", '""', "a b", "a\tb", "a\x00b", "é", "키", "a\x7f", "a\u2028b", "x" * 256,
     '"' + "x" * 256 + '"', '" "', "a\nb"],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_anything_else_is_no_key(text: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_key(text)
    assert refused.value.slug == "bad-request"
    assert "Idempotency-Key" in str(refused.value)


def test_white_space_the_order_of_keys_and_defaults_do_not_make_another_request() -> None:
    spelled = [
        f'{{"store_id":"1","currency":"KRW","items":[{ITEM}]}}',
        f' {{ "currency" : "KRW",\n"items" : [ {ITEM} ], "store_id" : "1" }} ',
        f'{{"store_id":"1","currency":"KRW","items":[{ITEM}],"note":"","table_id":null}}',
        f'{{"store_id":"\\u0031","currency":"KRW","items":[{ITEM}]}}',
    ]
    assert len({placed(text) for text in spelled}) == 1


def test_everything_that_a_request_says_makes_another_request() -> None:
    item = NewItem("a", 1, 1)
    hashes = [
        request_hash("place", "", PlaceOrder("1", "KRW", [item]), ANY_VERSION),
        request_hash("place", "", PlaceOrder("2", "KRW", [item]), ANY_VERSION),
        request_hash("place", "", PlaceOrder("1", "USD", [item]), ANY_VERSION),
        request_hash("place", "", PlaceOrder("1", "KRW", [item, item]), ANY_VERSION),
        request_hash("place", "", PlaceOrder("1", "KRW", [item], table_id="1"), ANY_VERSION),
        request_hash("place", "", PlaceOrder("1", "KRW", [item], note="x"), ANY_VERSION),
        request_hash("place", "", PlaceOrder("1", "KRW", [item], reference="x"), ANY_VERSION),
        request_hash("transition", "a", Transition("cancelled"), ANY_VERSION),
        request_hash("transition", "b", Transition("cancelled"), ANY_VERSION),
        request_hash("transition", "a", Transition("accepted"), ANY_VERSION),
        request_hash("transition", "a", Transition("cancelled", "x"), ANY_VERSION),
        request_hash("transition", "a", Transition("cancelled"), Seen(1)),
        request_hash("transition", "a", Transition("cancelled"), Seen(2)),
        request_hash("change", "a", ChangeOrder(note="x"), ANY_VERSION),
        request_hash("change", "a", ChangeOrder(items=[item]), ANY_VERSION),
        request_hash("change", "a", ChangeOrder(items=[item], note="x"), ANY_VERSION),
    ]
    assert all(len(one) == 32 for one in hashes)
    assert all(one != other for one, other in combinations(hashes, 2))


def test_the_parts_of_a_request_cannot_be_moved_into_each_other() -> None:
    step = Transition("accepted")
    assert request_hash("a", "bc", step, ANY_VERSION) != request_hash("ab", "c", step, ANY_VERSION)


def test_a_retry_by_a_release_that_sends_no_time_is_the_same_request() -> None:
    step = Transition("accepted")
    assert request_hash("a", "b", step, Seen(2, AT)) == request_hash("a", "b", step, Seen(2))


COMMANDS = [
    ("place", "", PlaceOrder("1", "KRW", [NewItem("a", 1, 1)] * 3), None),
    ("place", "", PlaceOrder("1", "KRW", [NewItem("a", 1, 1, "x")], "5", "n", "r"), None),
    ("place", "", PlaceOrder("1", "KRW", [NewItem("a", 1, 1)], guest=NewGuest("Kim")), None),
    ("transition", "a", Transition("cancelled"), 3),
    ("transition", "a", Transition("cancelled", "x"), None),
    ("change", "a", ChangeOrder(note="x"), None),
    ("change", "a", ChangeOrder(items=[NewItem("a", 1, 1)]), 7),
]


@pytest.mark.parametrize(("operation", "target", "command", "if_match"), COMMANDS)
def test_the_hashes_that_the_first_release_kept_are_still_those_of_their_requests(
    operation: str, target: str, command: msgspec.Struct, if_match: int | None
) -> None:
    first = sha256(msgspec.json.encode([operation, target, if_match, command])).digest()
    assert request_hash(operation, target, command, Seen(if_match)) == first


class _Grown:
    """The commands of a later release, which have one optional field more."""

    class NewItem(NewItem, frozen=True):
        allergens: tuple[str, ...] = ()

    class PlaceOrder(PlaceOrder, frozen=True):
        course: int = 1
        channel_hint: str | None = None


def test_an_optional_field_that_a_later_release_adds_changes_no_hash_until_it_is_used() -> None:
    item, grown_item = NewItem("a", 1, 1), _Grown.NewItem("a", 1, 1)
    kept = request_hash("place", "", PlaceOrder("1", "KRW", [item, item]), ANY_VERSION)
    later = _Grown.PlaceOrder("1", "KRW", [grown_item, grown_item])
    assert request_hash("place", "", later, ANY_VERSION) == kept
    used = [
        _Grown.PlaceOrder("1", "KRW", [grown_item, grown_item], course=2),
        _Grown.PlaceOrder("1", "KRW", [grown_item, _Grown.NewItem("a", 1, 1, "", ("egg",))]),
    ]
    assert len({kept, *(request_hash("place", "", one, ANY_VERSION) for one in used)}) == 3
