"""A cart is ordered once, whoever presses, and what is not ordered comes back."""

from __future__ import annotations

from typing import Any

import pytest

from client_sdk.contract.state.operations import Call, Merge
from core_api.documents.party import CART, give_back, placed, take
from core_api.documents.refusals import CallRefusedError
from tests.unit.core_api.documents.samples import Store, edit

RICE = {"name": "Rice", "quantity": 2, "unit_price": 1000, "by": "Kim"}
TEA = {"name": "Tea", "quantity": 1, "unit_price": 2000, "by": "Lee"}
FULL = {"lines": {"a": RICE, "b": TEA}}
ALL = {"id": "o1", "by": "Kim", "note": "hot", "lines": {"a": 2, "b": 1}}
TAKEN: dict[str, Any] = {
    "lines": {},
    "orders": {"o1": {"by": "Kim", "note": "hot", "lines": {"a": RICE, "b": TEA}}},
}


def test_of_two_phones_that_order_at_once_one_takes_the_lines() -> None:
    cart = Store(CART)
    cart.one(edit(Merge(FULL), None), "owner")
    first = cart.one(edit(Call("take", ALL), 1), "kim")
    second = cart.one(edit(Call("take", ALL | {"id": "o2"}), 1), "lee")
    assert (first.outcome, second.outcome) == ("applied", "refused")
    assert cart.head.value == TAKEN


def test_what_somebody_adds_meanwhile_stays_in_the_cart() -> None:
    assert take(FULL, ALL | {"lines": {"a": 2}})["lines"] == {"b": TEA}


@pytest.mark.parametrize(
    "seen", [{"a": 1}, {"c": 1}, {}, [], None], ids=["changed", "gone", "none", "list", "null"]
)
def test_nothing_is_ordered_that_the_phone_did_not_see(seen: Any) -> None:
    with pytest.raises(CallRefusedError):
        take(FULL, ALL | {"lines": seen})


def test_what_is_placed_is_struck_off_once() -> None:
    done = placed(TAKEN, {"id": "o1"})
    assert done == {"lines": {}}
    assert placed(done, {"id": "o1"}) == done


def test_what_is_refused_comes_back_to_the_lines_once() -> None:
    back = give_back(TAKEN, {"id": "o1"})
    assert back == FULL
    assert give_back(back, {"id": "o1"}) == FULL


def test_what_comes_back_joins_what_was_chosen_again_meanwhile() -> None:
    again = TAKEN | {"lines": {"a": RICE | {"quantity": 3}}}
    assert give_back(again, {"id": "o1"})["lines"]["a"]["quantity"] == 5


@pytest.mark.parametrize("call", [placed, give_back])
def test_a_call_without_an_id_is_refused(call: Any) -> None:
    with pytest.raises(CallRefusedError):
        call(TAKEN, None)


def test_each_step_leaves_a_cart_that_fits_its_schema() -> None:
    for value in (FULL, TAKEN, placed(TAKEN, {"id": "o1"}), give_back(TAKEN, {"id": "o1"})):
        assert CART.violation(value) is None
