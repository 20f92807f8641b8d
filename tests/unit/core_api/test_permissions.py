"""The whole permission matrix: each role, each action, on what is its own and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.order import STATUSES, OrderStatus
from core_api.access.callers import Caller, Role
from core_api.errors import CoreError, ForbiddenError, NotFoundError
from core_api.orders.lifecycle import Target
from core_api.orders.permissions import (
    check_change,
    check_place,
    check_read,
    check_recall,
    check_transition,
)
from tests.unit.core_api.samples import order

Answer = Literal["yes", "no", "hidden"]
TARGETS: tuple[Target, ...] = get_args(Target)

CALLERS: dict[str, Caller] = {
    "owner": Caller("o", "owner", frozenset({"12", "15"})),
    "owner of all": Caller("o", "owner", frozenset({"*"})),
    "other owner": Caller("o", "owner", frozenset({"15"})),
    "owner of nothing": Caller("o", "owner"),
    "table": Caller("t", "table", table=Channel("table", "12", "5")),
    "other table": Caller("t", "table", table=Channel("table", "12", "6")),
    "same table elsewhere": Caller("t", "table", table=Channel("table", "15", "5")),
    "table of nothing": Caller("t", "table"),
    "producer": Caller("p", "producer", frozenset({"12"})),
    "other producer": Caller("p", "producer", frozenset({"15"})),
    "ops": Caller("x", "ops"),
    # A token may hold more than its role uses; only the role counts.
    "table with stores": Caller("t", "table", frozenset({"12", "*"}), Channel("table", "15", "1")),
    "ops with stores": Caller("x", "ops", frozenset({"12", "*"}), Channel("table", "12", "5")),
    "producer with a table": Caller("p", "producer", frozenset(), Channel("table", "15", "1")),
}


def answer(check: Callable[[], None]) -> Answer:
    try:
        check()
    except ForbiddenError:
        return "no"
    except NotFoundError:
        return "hidden"
    return "yes"


# Who may place at store 12's table 5, at its table 6, at its counter, at store 15's table 5.
PLACE: dict[str, str] = {
    "owner": "yes yes yes yes",
    "owner of all": "yes yes yes yes",
    "other owner": "no no no yes",
    "owner of nothing": "no no no no",
    "table": "yes no no no",
    "other table": "no yes no no",
    "same table elsewhere": "no no no yes",
    "table of nothing": "no no no no",
    "producer": "yes yes yes no",
    "other producer": "no no no yes",
    "ops": "no no no no",
    "table with stores": "no no no no",
    "ops with stores": "no no no no",
    "producer with a table": "no no no no",
}


@pytest.mark.parametrize("who", CALLERS)
def test_who_may_place_an_order_where(who: str) -> None:
    caller = CALLERS[who]
    places = [("12", "5"), ("12", "6"), ("12", None), ("15", "5")]
    answers = [
        answer(lambda place=place: check_place(caller, *place))  # type: ignore[misc]
        for place in places
    ]
    assert " ".join(answers) == PLACE[who]


# Who may read the order of store 12's table 5, and the counter order of store 12.
READ: dict[str, str] = {
    "owner": "yes yes",
    "owner of all": "yes yes",
    "other owner": "hidden hidden",
    "owner of nothing": "hidden hidden",
    "table": "yes hidden",
    "other table": "hidden hidden",
    "same table elsewhere": "hidden hidden",
    "table of nothing": "hidden hidden",
    "producer": "yes yes",
    "other producer": "hidden hidden",
    "ops": "yes yes",
    "table with stores": "hidden hidden",
    "ops with stores": "yes yes",
    "producer with a table": "hidden hidden",
}


@pytest.mark.parametrize("who", CALLERS)
def test_who_may_read_an_order_and_who_may_not_even_know_of_it(who: str) -> None:
    caller = CALLERS[who]
    at_table, at_counter = order(), order(table_id=None)
    answers = [
        answer(lambda: check_read(caller, at_table)),
        answer(lambda: check_read(caller, at_counter)),
    ]
    assert " ".join(answers) == READ[who]


def may_step(who: str, status: OrderStatus, to: Target | Literal["change"]) -> Answer:
    """The rule in words of its own: what `access` must come to."""
    if READ[who].split()[0] == "hidden":
        return "hidden"
    match CALLERS[who].role:
        case "owner":
            return "yes"
        case "producer":
            return "yes" if to in ("cancelled", "change") else "no"
        case "table":
            return "yes" if to in ("cancelled", "change") and status == "placed" else "no"
        case _:
            return "no"


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("who", CALLERS)
def test_who_may_step_and_change_an_order_in_which_status(who: str, status: OrderStatus) -> None:
    caller, current = CALLERS[who], order(status)
    for to in TARGETS:
        found = answer(lambda to=to: check_transition(caller, current, to))  # type: ignore[misc]
        assert found == may_step(who, status, to), to
    assert answer(lambda: check_change(caller, current)) == may_step(who, status, "change")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("who", CALLERS)
def test_only_the_owner_takes_an_order_back(who: str, status: OrderStatus) -> None:
    expected = READ[who].split()[0]
    if expected == "yes" and CALLERS[who].role != "owner":
        expected = "no"
    assert answer(lambda: check_recall(CALLERS[who], order(status))) == expected


@pytest.mark.parametrize("role", get_args(Role))
def test_the_owners_fields_are_shown_to_all_but_the_table(role: Role) -> None:
    assert Caller("x", role).sees_owner_fields == (role != "table")


@pytest.mark.parametrize("who", ["other owner", "other table", "table"])
def test_a_refusal_tells_nothing_of_the_order(who: str) -> None:
    secret = order("accepted", note="note-secret", placed_by="pos-secret")
    with pytest.raises(CoreError) as refused:
        check_change(CALLERS[who], secret)
    assert "secret" not in str(refused.value)
