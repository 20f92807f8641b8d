"""What the claims of a provider's token stand for, by the operator's mapping."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_sdk.contract.text import is_id, is_subject, is_text
from core_api.access.callers import Caller
from core_api.access.provider.claims import ClaimRules, ProviderRole, caller_of
from core_api.errors import ForbiddenError
from server_common.limits import PROVIDER_STORES

ROLES: dict[str, ProviderRole] = {
    "platform": "ops", "shop": "owner", "till": "producer", "hq": "brand"
}  # fmt: skip
NOW = 1000.0


def read(claims: dict[str, Any], rules: ClaimRules | None = None) -> Caller:
    return caller_of({"sub": "ann"} | claims, "t1", rules or ClaimRules(ROLES), NOW)


@pytest.mark.parametrize(
    ("claims", "caller"),
    [
        ({"roles": ["shop"], "stores": ["1", "2"]},
         Caller("oidc:ann", "owner", frozenset({"1", "2"}))),
        ({"roles": "till", "stores": "1 2"},
         Caller("oidc:ann", "producer", frozenset({"1", "2"}))),
        ({"roles": ["till"], "stores": ["*"]}, Caller("oidc:ann", "producer", frozenset({"*"}))),
        ({"roles": ["x", "platform"]}, Caller("oidc:ann", "ops")),
        ({"roles": ["hq"], "brand": "b1"}, Caller("oidc:ann", "brand", brand="b1")),
        ({"roles": ["shop"], "stores": ["1"], "brand": "b1"},
         Caller("oidc:ann", "owner", frozenset({"1"}), brand="b1")),
    ],
)  # fmt: skip
def test_a_role_and_its_stores_are_read_from_the_claims(
    claims: dict[str, Any], caller: Caller
) -> None:
    assert read(claims) == caller


def test_of_several_roles_the_first_of_the_setting_counts() -> None:
    assert read({"roles": ["shop", "platform"], "stores": ["1"]}).role == "ops"
    other_way = ClaimRules({"shop": "owner", "platform": "ops"})
    assert read({"roles": ["platform", "shop"], "stores": ["1"]}, other_way).role == "owner"


def test_claims_stand_where_the_setting_says() -> None:
    rules = ClaimRules(
        ROLES, ("realm_access", "roles"), ("https://yabam.example/stores",), ("org", "brand")
    )
    claims = {
        "realm_access": {"roles": ["shop"]},
        "https://yabam.example/stores": ["9"],
        "org": {"brand": "b2"},
    }
    assert read(claims, rules) == Caller("oidc:ann", "owner", frozenset({"9"}), brand="b2")


def test_a_scope_may_say_the_role() -> None:
    rules = ClaimRules({"yabam:owner": "owner"}, ("scope",))
    assert read({"scope": "openid yabam:owner", "stores": ["1"]}, rules).role == "owner"


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({}, "/roles"),
        ({"roles": ["guest"]}, "/roles"),
        ({"roles": {"shop": True}}, "/roles"),
        ({"roles": 7}, "/roles"),
        ({"roles": ["shop"]}, "/stores names no store"),
        ({"roles": ["shop"], "stores": []}, "/stores names no store"),
        ({"roles": ["shop"], "stores": ["a b"]}, "is no store"),
        ({"roles": ["shop"], "stores": ["1/2"]}, "is no store"),
        ({"roles": ["shop"], "stores": [str(n) for n in range(PROVIDER_STORES + 1)]}, "more than"),
        ({"roles": ["hq"]}, "/brand names no brand"),
        ({"roles": ["hq"], "brand": ["b1"]}, "/brand is no brand"),
        ({"roles": ["hq"], "brand": "a/b"}, "/brand is no brand"),
        ({"roles": ["platform"], "sub": "x" * 251}, "sub is no subject"),
        ({"roles": ["platform"], "sub": "\ud800"}, "sub is no subject"),
    ],
)
def test_claims_that_give_nothing_here_are_named(claims: dict[str, Any], told: str) -> None:
    with pytest.raises(ForbiddenError, match=told):
        read(claims)


def test_a_session_can_be_revoked_by_its_name_and_a_token_by_its_own() -> None:
    one = read({"roles": ["platform"], "sid": "s1"})
    assert one.session == read({"roles": ["platform"], "sid": "s1", "sub": "bo"}).session != ""
    assert one.session != read({"roles": ["platform"], "sid": "s2"}).session
    assert read({"roles": ["platform"]}).session == ""
    assert one.token != one.session


@pytest.mark.parametrize(
    ("iat", "issued_at"),
    [(900, 840), (900.5, 840), (1030, 940), (30, 0), (-5, 0)],
)
def test_a_token_counts_as_made_a_minute_earlier_as_the_provider_s_clock_may_be_ahead(
    iat: Any, issued_at: int
) -> None:
    assert read({"roles": ["platform"], "iat": iat}).issued_at == issued_at


@pytest.mark.parametrize(("iat", "issued_at"), [(math.nan, 0), ("900", 0), (True, 0), (None, 0)])
def test_a_token_without_a_usable_time_counts_as_the_oldest(iat: Any, issued_at: int) -> None:
    assert read({"roles": ["platform"], "iat": iat}).issued_at == issued_at


# PyJWT gives a lone half of a surrogate pair as it stands in the JSON.
texts = st.text(st.characters(exclude_categories=[]), max_size=9) | st.sampled_from(
    ["\ud800", "1\ud800", "\0", "1\0", "1\n", "²", "9" * 5000]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["roles", "stores", "brand", "sid", "iat"]), json_values),
    texts,
)
@example({"roles": ["shop"], "stores": ["1"]}, "\ud800")
@example({"roles": ["shop"], "stores": ["1\ud800"]}, "ann")
@example({"roles": ["hq"], "brand": "\ud800"}, "ann")
@example({"roles": ["platform"], "sid": "\ud800"}, "ann")
def test_whatever_the_claims_are_nobody_becomes_more_than_they_say(
    claims: dict[str, Any], subject: str
) -> None:
    try:
        caller = read({**claims, "sub": subject})
    except ForbiddenError:
        return
    assert caller.subject == f"oidc:{subject}"
    assert is_subject(caller.subject)
    assert all(store == "*" or is_id(store) for store in caller.stores)
    assert caller.brand is None or is_id(caller.brand)
    assert is_text(caller.session)
    assert caller.role in ROLES.values()
    assert caller.table is None
    assert caller.device is None
