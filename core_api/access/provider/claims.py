"""Maps the claims of a provider's token to a caller, as the operator configured it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from client_sdk.contract.state.pointer import MISSING, Path, format_pointer, get
from client_sdk.contract.text import MAX_SUBJECT, is_id, is_subject, shown
from core_api.access.callers import EVERY_STORE, Caller
from core_api.errors import ForbiddenError
from server_common.limits import PROVIDER_STORES
from server_common.revocations.records import key_of

ProviderRole = Literal["owner", "producer", "ops", "brand"]
"""What a provider's token can be. Guests and devices have tokens of our own."""
PREFIX: Final = "oidc:"
"""Prefix of the subject, so that no account of a provider has the name of one of our callers."""

_SKEW_S: Final = 60
"""How far the provider's clock may be ahead of ours: a token signed before a revocation must not
look newer than the revocation."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Where the claims stand, and what they mean."""

    roles: Mapping[str, ProviderRole]
    """Our role for each value of the claim; of several that a token has, the first here counts."""
    role_at: Path = ("roles",)
    stores_at: Path = ("stores",)
    brand_at: Path = ("brand",)


def caller_of(claims: Mapping[str, Any], name: str, rules: ClaimRules, now: float) -> Caller:
    """Who holds a token.

    Args:
        claims: of a token that is valid.
        name: by which it can be revoked.
        rules: what the claims mean.
        now: seconds since 1970; a token is never made later.

    Raises:
        ForbiddenError: the claims grant no access here; the message says which claim.
    """
    subject = PREFIX + str(claims["sub"])
    if not is_subject(subject):
        raise ForbiddenError(
            "the claim sub is no subject here: use at most "
            f"{MAX_SUBJECT - len(PREFIX)} characters, none of them a control character"
        )
    role = _role(claims, rules)
    stores = frozenset[str]()
    if role in ("owner", "producer"):
        stores = _stores(claims, rules.stores_at)
    session = claims.get("sid")
    return Caller(
        subject,
        role,
        stores,
        brand=_brand(claims, role, rules.brand_at),
        issued_at=_made_at(claims, now),
        token=key_of("token", name),
        session=key_of("session", session) if isinstance(session, str) and session else "",
    )


def _role(claims: Mapping[str, Any], rules: ClaimRules) -> ProviderRole:
    given = frozenset(_words(claims, rules.role_at))
    role = next((role for value, role in rules.roles.items() if value in given), None)
    if role is None:
        raise ForbiddenError(
            f"no value of the claim {format_pointer(rules.role_at)} stands for a role here"
        )
    return role


def _stores(claims: Mapping[str, Any], path: Path) -> frozenset[str]:
    stores = _words(claims, path)
    if not stores:
        raise ForbiddenError(f"the claim {format_pointer(path)} names no store")
    if len(stores) > PROVIDER_STORES:
        raise ForbiddenError(
            f"the claim {format_pointer(path)} names more than {PROVIDER_STORES} stores"
        )
    for store in stores:
        if store != EVERY_STORE and not is_id(store):
            raise ForbiddenError(f"{shown(store)} in {format_pointer(path)} is no store")
    return frozenset(stores)


def _brand(claims: Mapping[str, Any], role: ProviderRole, path: Path) -> str | None:
    brand = get(dict(claims), path)
    if brand is MISSING or role == "ops":
        if role == "brand":
            raise ForbiddenError(f"the claim {format_pointer(path)} names no brand")
        return None
    if not isinstance(brand, str) or not is_id(brand):
        raise ForbiddenError(f"the claim {format_pointer(path)} is no brand")
    return brand


def _words(claims: Mapping[str, Any], path: Path) -> list[str]:
    """A list of texts, or one text of words, as `scope` is."""
    value = get(dict(claims), path)
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str)]
    return []


def _made_at(claims: Mapping[str, Any], now: float) -> int:
    made: Any = claims.get("iat")
    if type(made) not in (int, float) or not math.isfinite(made):
        return 0
    return max(0, int(min(made, now)) - _SKEW_S)
