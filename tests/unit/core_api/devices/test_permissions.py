"""Who may do what with a store's devices."""

from __future__ import annotations

import pytest

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.devices.permissions import check_keeps, check_sees
from core_api.errors import ForbiddenError

BELL = Channel("device", "12", "bell-1")
CALLERS = {
    "owner": Caller("o", "owner", frozenset({"12"})),
    "owner of all": Caller("o", "owner", frozenset({"*"})),
    "owner of another": Caller("o", "owner", frozenset({"13"})),
    "ops": Caller("p", "ops"),
    "itself": Caller("d", "device", device=BELL),
    "another device": Caller("d", "device", device=Channel("device", "12", "bell-2")),
    "its table": Caller("t", "table", table=Channel("table", "12", "5")),
    "producer": Caller("q", "producer", frozenset({"12"})),
    "brand": Caller("b", "brand", brand="kimbap"),
}


def allowed(check: object, *place: str) -> set[str]:
    found = set()
    for name, caller in CALLERS.items():
        try:
            check(caller, *place)  # type: ignore[operator]
        except ForbiddenError:
            continue
        found.add(name)
    return found


@pytest.mark.parametrize(
    ("check", "place", "may"),
    [
        (check_keeps, ("12",), {"owner", "owner of all"}),
        (check_sees, ("12", "bell-1"), {"owner", "owner of all", "ops", "itself"}),
    ],
)
def test_the_matrix_holds(check: object, place: tuple[str, ...], may: set[str]) -> None:
    assert allowed(check, *place) == may
