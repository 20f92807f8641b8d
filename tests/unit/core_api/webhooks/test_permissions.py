"""Who may do what with webhooks: the whole matrix."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core_api.access.callers import Caller
from core_api.errors import CoreError, ForbiddenError, NotFoundError
from core_api.webhooks.permissions import check_keeps, check_lists, check_registers, check_sees

STORES = ["1", "2"]
OWNER = Caller("o", "owner", frozenset(STORES))
OPS = Caller("s", "ops")
OF_ONE = Caller("p", "owner", frozenset({"1"}))
OTHERS = [
    OF_ONE,
    Caller("x", "producer", frozenset(STORES)),
    Caller("b", "brand", brand="kimbap"),
    Caller("t", "table"),
    Caller("d", "device"),
]


def refusal_of(check: Callable[..., None], *asked: object) -> type[CoreError] | None:
    """As what it is refused; None: it is allowed."""
    try:
        check(*asked)
    except CoreError as error:
        return type(error)
    return None


def test_an_owner_of_all_its_stores_registers_sees_and_changes_a_webhook() -> None:
    for caller in (OWNER, Caller("all", "owner", frozenset({"*"}))):
        assert refusal_of(check_registers, caller, STORES) is None
        assert refusal_of(check_lists, caller) is None
        assert refusal_of(check_sees, caller, "wh", STORES) is None
        assert refusal_of(check_keeps, caller, "wh", STORES) is None


def test_ops_see_webhooks_and_neither_register_nor_change_them() -> None:
    check_lists(OPS)
    check_sees(OPS, "wh", STORES)
    with pytest.raises(ForbiddenError):
        check_registers(OPS, STORES)
    with pytest.raises(ForbiddenError):
        check_keeps(OPS, "wh", STORES)


@pytest.mark.parametrize("caller", OTHERS, ids=lambda one: one.role)
def test_nobody_else_registers_one_or_learns_that_it_is_there(caller: Caller) -> None:
    with pytest.raises(ForbiddenError):
        check_registers(caller, STORES)
    with pytest.raises(NotFoundError):
        check_sees(caller, "wh", STORES)
    with pytest.raises(NotFoundError):
        check_keeps(caller, "wh", STORES)


@pytest.mark.parametrize("caller", OTHERS[1:], ids=lambda one: one.role)
def test_only_owners_and_ops_ask_for_webhooks_at_all(caller: Caller) -> None:
    with pytest.raises(ForbiddenError):
        check_lists(caller)
