"""Access tokens that an OpenID provider has signed, verified. No await, no clock of its own."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

import jwt

from core_api.access.callers import Caller
from core_api.access.provider.claims import ClaimRules, caller_of
from core_api.access.provider.key_set import Algorithm, KeyName
from core_api.access.provider.known_keys import KnownKeys
from core_api.access.tokens import token_name
from core_api.errors import UnauthorizedError
from server_common.access.access_tokens import EXPIRED, MAX_TOKEN_CHARS

_ALGORITHMS: Final = frozenset(get_args(Algorithm))
_MAX_CACHED: Final = 20_000
_MAX_HEADER_CHARS: Final = 2048
_SKEW_S: Final = 60
"""How far the provider's clock may be ahead of ours."""
_OTHER_TYPES: Final = frozenset({"id", "logout", "logout+jwt"})
"""Types of tokens that are not access tokens, in lower case: of the claim `typ`, and of the
header."""
_MALFORMED: Final = "the token is not a valid JWT of the provider"


@dataclass(frozen=True, slots=True)
class ProviderRules:
    """Which of a provider's tokens are for us."""

    issuer: str
    audience: str
    claims: ClaimRules


class ProviderTokens:
    """Verifies the tokens of one provider.

    Args:
        rules: which of them are for us, and what they mean.
        keys: its keys.
        now: seconds since the Unix epoch.
    """

    def __init__(self, rules: ProviderRules, keys: KnownKeys, now: Callable[[], float]) -> None:
        self._rules = rules
        self._keys = keys
        self._now = now
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._generation = keys.generation

    def verify(self, token: str) -> Caller:
        """Who holds the token. One that was verified is remembered while the keys stay the same.

        Raises:
            UnauthorizedError: it is malformed, forged, expired, or for somebody else.
            ForbiddenError: it is valid, but grants no access here.
            ProviderKeysUnknownError: its key is not known yet.
        """
        if self._generation != self._keys.generation:
            self._known.clear()
            self._generation = self._keys.generation
        now = self._now()
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = self._verify(token, now)
            if len(self._known) > _MAX_CACHED:
                self._known.popitem(last=False)
        caller, expires_at = known
        if now >= expires_at:
            del self._known[token]
            raise UnauthorizedError(EXPIRED)
        return caller

    def _verify(self, token: str, now: float) -> tuple[Caller, float]:
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise UnauthorizedError(_MALFORMED)
        try:
            name = _key_name(token)
            self._check_issuer(token)
            claims = self._claims(token, name, self._keys.find(name))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise UnauthorizedError(_MALFORMED) from error
        _check_use(token, claims)
        expires_at, begins_at = claims["exp"], claims.get("nbf", 0)
        if not _is_time(expires_at) or not _is_time(begins_at):
            raise UnauthorizedError(_MALFORMED)
        if now >= expires_at:
            raise UnauthorizedError(EXPIRED)
        if begins_at > now + _SKEW_S:
            raise UnauthorizedError("the token is not valid yet")
        made_at: Any = claims.get("iat")
        if _is_time(made_at) and made_at > now + _SKEW_S:
            raise UnauthorizedError("the token was made later than now (iat): set the clocks")
        name_of_token = token_name(token, claims)
        return caller_of(claims, name_of_token, self._rules.claims, now), expires_at

    def _check_issuer(self, token: str) -> None:
        """Refuse the token of another issuer before its key is looked for."""
        unverified = jwt.decode(token, options={"verify_signature": False})
        if unverified.get("iss") != self._rules.issuer:
            raise UnauthorizedError("the token is of another issuer")

    def _claims(self, token: str, name: KeyName, key: Any) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[name.algorithm],
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                options={
                    "require": ["exp", "sub", "aud", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidAudienceError as error:
            told = "the token is for another audience: ask the provider for one for this system"
            raise UnauthorizedError(told) from error
        return claims


def is_for_provider(token: str) -> bool:
    """Whether a token is to be verified by the provider's keys: our own never sign by these
    algorithms."""
    header = token.partition(".")[0]
    return len(header) <= _MAX_HEADER_CHARS and _names_our_algorithm(header)


@lru_cache(maxsize=1000)
def _names_our_algorithm(header: str) -> bool:
    try:
        algorithm = jwt.get_unverified_header(f"{header}.e30.").get("alg")
    except (jwt.PyJWTError, ValueError, RecursionError):
        return False
    return isinstance(algorithm, str) and algorithm in _ALGORITHMS


def _key_name(token: str) -> KeyName:
    header = jwt.get_unverified_header(token)
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(algorithm, str) or "crit" in header:
        raise ValueError("the header lacks a kid, or has a `crit` that is not supported")
    return KeyName(kid, algorithm)


def _check_use(token: str, claims: Mapping[str, Any]) -> None:
    """An ID token says who somebody is, and a logout token that somebody has left. Where the
    audience is a client's id, a provider signs them for the same audience."""
    types = {
        str(said.get("typ", "")).lower().removeprefix("application/")
        for said in (claims, jwt.get_unverified_header(token))
    }
    if types & _OTHER_TYPES or "events" in claims or "at_hash" in claims:
        raise UnauthorizedError("this is an ID token or a logout token: send the access token")


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
