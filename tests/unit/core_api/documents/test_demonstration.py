"""The demonstration's restaurant: each document takes what its pages write, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.state.operations import Call, Merge, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits.requests import may_write
from tests.unit.core_api.documents.samples import Store, edit

ALL = Definitions(DEFINITIONS)
LINE = {"name": "김밥", "quantity": 2, "unit_price": 3500, "note": "", "by": "Kim"}

GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("public", "sold-out", {"items": {"kimbap-1": {"name": "김밥"}}}),
    ("public", "waiting-time", {"value": 25}),
    ("public", "taking-orders", {"value": False, "reason": "the fryer is broken"}),
    ("brand", "menu", {"currency": "KRW", "items": {"kimbap-1": {"name": "김밥", "price": 3500}}}),
    ("global", "notice", {"text": "maintenance at 4", "level": "warning"}),
    ("party", "cart", {"lines": {"a7": LINE}}),
    ("party", "bell", {"rung": 2, "answered": 1, "reason": "water"}),
    ("party", "bill", {"ways": 3, "shares": {"o1": {"Kim": 7000, "Lee": 2000}}}),
    ("party", "party", {"number": 7}),
    ("team", "shift", {"people": {"p1": {"name": "Lee", "task": "grill"}}}),
    ("team", "contact", {"name": "분식집 Bunsikjip", "phone": "+82 2-555-0100"}),
    ("team", "age-limits", {"new": {"amber": 2, "red": 5}}),
]
BAD: list[tuple[str, str, dict[str, Any], str]] = [
    ("public", "sold-out", {"items": {"kimbap-1": {}}}, "/items/kimbap-1"),
    ("public", "sold-out", {}, ""),
    ("public", "waiting-time", {"value": -1}, "/value"),
    ("public", "taking-orders", {"value": 1}, "/value"),
    ("brand", "menu", {"currency": "won", "items": {}}, "/currency"),
    ("global", "notice", {"text": "x", "level": "loud"}, "/level"),
    ("party", "cart", {"lines": {"a7": LINE | {"quantity": 0}}}, "/lines/a7/quantity"),
    ("party", "cart", {"lines": {"a7": LINE | {"price": 1}}}, "/lines/a7"),
    ("party", "cart", {"lines": [LINE]}, "/lines"),
    ("party", "bell", {"rung": -1, "answered": 0}, "/rung"),
    ("party", "bill", {"ways": 0}, "/ways"),
    ("party", "bill", {"shares": {"o1": {"Kim": -1}}}, "/shares/o1/Kim"),
    ("party", "party", {"number": "7"}, "/number"),
    ("team", "shift", {"people": {"p1": {"task": "grill"}}}, "/people/p1"),
    ("team", "contact", {"name": "Bunsikjip", "phone": "javascript:alert(1)"}, "/phone"),
    ("team", "contact", {"phone": "02-555-0100"}, ""),
    ("team", "age-limits", {"new": {"amber": 0, "red": 5}}, "/new/amber"),
    ("team", "age-limits", {"new": {"amber": 2}}, "/new"),
    ("team", "age-limits", {"done": {"amber": 2, "red": 5}}, ""),
]


def of(scope: str, key: str) -> Any:
    found = ALL.of(scope, key)
    assert found is not None
    return found


def test_every_document_has_its_example() -> None:
    assert {(scope, key) for scope, key, _ in GOOD} == {
        (scope, one.key) for one in DEFINITIONS for scope in one.scopes
    }


@pytest.mark.parametrize(("scope", "key", "value"), GOOD)
def test_a_document_takes_what_it_is_for(scope: str, key: str, value: dict[str, Any]) -> None:
    assert of(scope, key).violation(value) is None


@pytest.mark.parametrize(("scope", "key", "value", "pointer"), BAD)
def test_a_document_refuses_what_it_is_not_for(
    scope: str, key: str, value: dict[str, Any], pointer: str
) -> None:
    violation = of(scope, key).violation(value)
    assert violation is not None
    assert violation[0] == pointer


def test_four_phones_fill_one_cart_offline() -> None:
    cart = Store(of("party", "cart"))
    for phone in "abcd":
        cart.one(edit(Merge({"lines": {phone: LINE}}), None), phone)
    assert cart.head.value == {"lines": dict.fromkeys("abcd", LINE)}


def test_a_late_ring_is_not_answered_by_one_who_did_not_see_it() -> None:
    bell = Store(of("party", "bell"))
    bell.one(edit(Call("ring", {"reason": "water"}), 0), "guest")
    bell.one(edit(Call("ring", {"reason": "the bill"}), 1, 2), "guest")
    bell.one(edit(Call("answer", {"rung": 1}), 1), "staff")
    assert bell.head.value == {"rung": 2, "answered": 1, "reason": "the bill"}


@pytest.mark.parametrize(
    "call",
    [
        Call("ring", {"reason": 1}),
        Call("ring", "water"),
        Call("answer", {}),
        Call("answer", {"rung": True}),
        Call("answer", {"rung": 1}),
    ],
    ids=str,
)
def test_the_bell_refuses_what_it_does_not_understand(call: Call) -> None:
    refusal = Store(of("party", "bell")).one(edit(call, 0)).refusal
    assert refusal is not None
    assert refusal.slug == "call-refused"


def test_the_bell_is_changed_by_calls_only() -> None:
    refusal = Store(of("party", "bell")).one(edit(Set({"rung": 0, "answered": 0}), 0)).refusal
    assert refusal is not None
    assert refusal.slug == "forbidden-operation"


@pytest.mark.parametrize(
    ("key", "is_written"), [("sold-out", True), ("taking-orders", True), ("waiting-time", False)]
)
def test_a_stores_till_says_what_is_sold_out_and_whether_orders_are_taken(
    key: str, is_written: bool
) -> None:
    till = Caller("till-12", "producer", frozenset({"12"}))
    assert may_write(till, Channel("public", "12", None), of("public", key)) is is_written
    assert not may_write(till, Channel("public", "13", None), of("public", key))
