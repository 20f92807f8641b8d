"""How long a sign-in goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core_api.access.callers import Caller
from core_api.access.renewals import lifetime_beside, successor
from core_api.errors import ForbiddenError

WEEK_S = 604_800
HALF_A_DAY_S = 43_200
OWNER = Caller(
    "kim", "owner", frozenset({"1"}), brand="b", issued_at=1000, expires_at=1000 + HALF_A_DAY_S
)


def test_the_next_token_is_the_same_callers_for_as_long_again() -> None:
    after, lifetime_s = successor(OWNER, 40_000, WEEK_S)
    assert after == OWNER
    assert lifetime_s == HALF_A_DAY_S
    assert after.signed_in_at == 1000


def test_the_time_is_counted_from_the_sign_in_however_often_it_is_renewed() -> None:
    end = 1000 + WEEK_S
    late = replace(OWNER, issued_at=end - 50_000, expires_at=end - 6_800, signed_in_at=1000)
    after, lifetime_s = successor(late, end - 7_000, WEEK_S)
    assert lifetime_s == 7_000
    assert after.signed_in_at == 1000


@pytest.mark.parametrize(
    ("caller", "why"),
    [
        (replace(OWNER, role="ops"), "only an owner"),
        (replace(OWNER, role="table"), "only an owner"),
        (replace(OWNER, issued_at=0), "does not say when"),
        (replace(OWNER, expires_at=0), "a provider"),
        (replace(OWNER, signed_in_at=1000 - WEEK_S), "sign in again"),
        # It is good for longer than Core would give.
        (replace(OWNER, expires_at=1000 + 2 * WEEK_S), "sign in again"),
    ],
)
def test_what_can_be_renewed_no_longer(caller: Caller, why: str) -> None:
    with pytest.raises(ForbiddenError, match=why):
        successor(caller, 40_000, WEEK_S)


@pytest.mark.parametrize(
    ("caller", "lifetime_s"),
    [
        (OWNER, HALF_A_DAY_S),
        # One that lasts longer than Core would renew it lets others in until its own end.
        (replace(OWNER, expires_at=1000 + 2 * WEEK_S), 1000 + 2 * WEEK_S - 40_000),
        (replace(OWNER, signed_in_at=1000 - WEEK_S), 1000 + HALF_A_DAY_S - 40_000),
    ],
)
def test_another_device_is_let_in_for_as_long_as_its_owner_could_stay(
    caller: Caller, lifetime_s: int
) -> None:
    assert lifetime_beside(caller, 40_000, WEEK_S) == lifetime_s


def test_who_is_no_owner_lets_nobody_in() -> None:
    with pytest.raises(ForbiddenError):
        lifetime_beside(replace(OWNER, role="device"), 40_000, WEEK_S)
