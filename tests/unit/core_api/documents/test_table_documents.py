"""A cart is ordered once, whoever presses, and what is not ordered comes back."""

from __future__ import annotations

from typing import Any

import pytest

from client_sdk.contract.state.operations import Call, Merge
from core_api.documents.refusals import CallRefusedError
from core_api.documents.table_documents import CART, give_back, placed, take
from tests.unit.core_api.documents.samples import Store, edit

RICE = {"name": "Rice", "quantity": 2, "unit_price": 1000, "by": "Kim"}
TEA = {"name": "Tea", "quantity": 1, "unit_price": 2000, "by": "Lee"}
FULL = {"lines": {"a": RICE, "b": TEA}}
ALL = {"id": "o1", "by": "Kim", "note": "hot", "lines": {"a": 2, "b": 1}}
TAKEN: dict[str, Any] = {
    "lines": {},
    "orders": {"o1": {"by": "Kim", "note": "hot", "lines": {"a": RICE, "b": TEA}}},
}


def quantities(cart: Any) -> dict[str, int]:
    return {key: line["quantity"] for key, line in cart["lines"].items()}


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
    "seen",
    [{"a": 1}, {"c": 1}, {"c": None}, {}, [], None],
    ids=["changed", "gone", "gone-null", "none", "list", "null"],
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
    assert quantities(back) == {"a": 2, "b": 1}
    assert give_back(back, {"id": "o1"}) == back


def test_what_came_back_is_struck_off_if_another_phone_has_placed_it_nevertheless() -> None:
    assert placed(give_back(TAKEN, {"id": "o1"}), {"id": "o1"}) == {"lines": {}}


def test_what_was_chosen_beside_it_stays_when_what_came_back_is_placed() -> None:
    again = TAKEN | {"lines": {"a": RICE | {"quantity": 3}, "c": TEA}}
    done = placed(give_back(again, {"id": "o1"}), {"id": "o1"})
    assert done == {"lines": {"a": RICE | {"quantity": 3}, "c": TEA}}


def test_what_came_back_of_another_order_stays_when_this_one_is_placed() -> None:
    back = give_back(TAKEN, {"id": "o1"})
    assert placed(back, {"id": "o2"}) == back


def test_a_line_that_a_guest_made_smaller_is_struck_off_whole_when_it_is_placed() -> None:
    cart = Store(CART)
    cart.one(edit(Merge(give_back(TAKEN, {"id": "o1"})), None), "owner")
    cart.one(edit(Merge({"lines": {"a": {"quantity": 1}}}), 1), "kim")
    assert cart.one(edit(Call("placed", {"id": "o1"}), 2), "lee").outcome == "applied"
    assert cart.head.value == {"lines": {}}


def test_what_was_chosen_anew_is_not_what_came_back() -> None:
    cart = Store(CART)
    cart.one(edit(Merge(give_back(TAKEN, {"id": "o1"})), None), "owner")
    cart.one(edit(Merge({"lines": {"a": None, "b": None}}), 1), "kim")
    cart.one(edit(Merge({"lines": {"a": RICE}}), 2), "kim")
    cart.one(edit(Call("placed", {"id": "o1"}), 3), "lee")
    assert cart.head.value == {"lines": {"a": RICE}}


def test_what_comes_back_joins_what_was_chosen_again_meanwhile() -> None:
    again = TAKEN | {"lines": {"a": RICE | {"quantity": 3}}}
    assert give_back(again, {"id": "o1"})["lines"]["a"]["quantity"] == 5


@pytest.mark.parametrize("call", [placed, give_back])
def test_a_call_without_an_id_is_refused(call: Any) -> None:
    with pytest.raises(CallRefusedError):
        call(TAKEN, None)


def test_each_step_leaves_a_cart_that_fits_its_schema() -> None:
    back = give_back(TAKEN, {"id": "o1"})
    again = take(back, ALL | {"id": "o2"})
    for value in (FULL, TAKEN, placed(TAKEN, {"id": "o1"}), back, again):
        assert CART.violation(value) is None
