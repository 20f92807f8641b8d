"""Who may do what with pushes."""

from __future__ import annotations

import pytest

from core_api.access.callers import Caller, Role
from core_api.errors import ForbiddenError
from core_api.push.permissions import check_sees, check_subscribes


def caller(role: Role, store: str = "1") -> Caller:
    return Caller("ann", role, frozenset({store}))


@pytest.mark.parametrize("role", ["producer", "ops", "brand", "table"])
def test_only_an_owner_of_the_store_is_told_of_its_orders(role: Role) -> None:
    check_subscribes(caller("owner"), "1")
    for who in (caller("owner", "2"), caller(role)):
        with pytest.raises(ForbiddenError):
            check_subscribes(who, "1")


def test_ops_see_who_is_told() -> None:
    check_sees(caller("ops"), "1")
    with pytest.raises(ForbiddenError):
        check_sees(caller("owner", "2"), "1")
