"""Whose party still sits at its table."""

from __future__ import annotations

import pytest

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import PartyLeftError
from core_api.parties.guest_token_end import check_stay

TABLE = Channel("table", "12", "5")


def guest(issued_at: int) -> Caller:
    return Caller("guest", "table", table=TABLE, issued_at=issued_at)


def refusal_of(issued_at: int, ended_at: float | None) -> str | None:
    """What a guest with a token of then is told; None: it may go on."""
    try:
        check_stay(guest(issued_at), ended_at)
    except PartyLeftError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("issued_at", "ended_at"),
    [
        pytest.param(100, None, id="nobody ever left"),
        pytest.param(101, 100.9, id="made after the last party left"),
        pytest.param(100, 100.9, id="made in the very second"),
    ],
)
def test_a_guest_of_the_party_at_the_table_stays(issued_at: int, ended_at: float | None) -> None:
    assert refusal_of(issued_at, ended_at) is None


@pytest.mark.parametrize("issued_at", [99, 0], ids=["made before it left", "does not say when"])
def test_a_guest_of_a_party_that_has_left_is_refused(issued_at: int) -> None:
    assert "scan the code" in (refusal_of(issued_at, 100.0) or "")
