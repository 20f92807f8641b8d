"""Access tokens: signed for callers, and read back into who calls."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

import jwt
import msgspec
from msgspec import Struct

from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.text import is_id, is_subject
from core_api.access.callers import EVERY_STORE, Caller, Role
from core_api.errors import UnauthorizedError
from server_common.access.access_tokens import (
    ALGORITHM,
    AUDIENCE,
    EXPIRED,
    TokenError,
    TokenVerifier,
)
from server_common.errors import SettingsError
from server_common.revocations.records import key_of

_MAX_CACHED: Final = 20_000
_NAME_BYTES: Final = 12


class _Claims(Struct, frozen=True):
    sub: str
    role: Role
    exp: int
    iat: float = 0.0
    auth_time: float = 0.0
    stores: list[str] = []
    table: str | None = None
    brand: str | None = None
    device: str | None = None
    jti: str | None = None
    sid: str | None = None


class TokenKeys:
    """The set of token keys: one signs, all verify.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        signing_kid: which of them signs.
        now: seconds since the Unix epoch.

    Raises:
        SettingsError: no such signing key, or a key that is too short.
    """

    def __init__(
        self, keys: Mapping[str, bytes], signing_kid: str, now: Callable[[], float]
    ) -> None:
        if signing_kid not in keys:
            raise SettingsError(f"the signing key {signing_kid!r} is not among the token keys")
        self._verifier = TokenVerifier(keys)
        self._signing_kid, self._signing_key = signing_kid, keys[signing_kid]
        self._now = now
        self._known: OrderedDict[str, tuple[Caller, int]] = OrderedDict()

    def sign(self, caller: Caller, lifetime_s: int) -> str:
        """A token for the caller, good for `lifetime_s` seconds."""
        issued_at = int(self._now())
        claims: dict[str, object] = {
            "aud": AUDIENCE,
            "sub": caller.subject,
            "role": caller.role,
            "iat": issued_at,
            "exp": issued_at + lifetime_s,
            "jti": new_name(),
        }
        if caller.role == "owner":
            # Handed on when it is renewed, so that the whole sign-in can be revoked.
            claims["sid"] = caller.sid or new_name()
        if caller.signed_in_at:
            claims["auth_time"] = caller.signed_in_at
        if caller.stores:
            claims["stores"] = sorted(caller.stores)
        if caller.table is not None:
            claims["table"] = str(caller.table).removeprefix("table:")
        if caller.device is not None:
            claims["device"] = str(caller.device).removeprefix("device:")
        if caller.brand is not None:
            claims["brand"] = caller.brand
        return jwt.encode(claims, self._signing_key, ALGORITHM, {"kid": self._signing_kid})

    def verify(self, token: str) -> Caller:
        """Who holds the token.

        A token that was verified is remembered until it expires: the same one comes with every
        request of a client.

        Raises:
            UnauthorizedError: malformed, forged, expired, or signed by a key we do not have.
        """
        known = self._known.get(token)
        if known is not None:
            caller, expires_at = known
            if self._now() >= expires_at:
                del self._known[token]
                raise UnauthorizedError(EXPIRED)
            return caller
        caller, expires_at = self._verify(token)
        self._known[token] = (caller, expires_at)
        if len(self._known) > _MAX_CACHED:
            self._known.popitem(last=False)
        return caller

    def _verify(self, token: str) -> tuple[Caller, int]:
        try:
            raw = self._verifier.claims(token, self._now())
            claims = msgspec.convert(raw, _Claims)
            return _caller(claims, token, self._now()), claims.exp
        except TokenError as error:
            raise UnauthorizedError(str(error)) from error
        except (msgspec.ValidationError, ValueError) as error:
            raise UnauthorizedError("the token is not a valid JWT of this system") from error


def new_name() -> str:
    """A name for a token or a session, by which it can be revoked; nobody can guess it."""
    return token_urlsafe(_NAME_BYTES)


def token_name(token: str, claims: Mapping[str, object]) -> str:
    """The name by which a token is revoked: its `jti`; without a usable one, a hash of what is
    signed. (The signature itself may be written in several ways.)"""
    name = claims.get("jti")
    if isinstance(name, str) and is_subject(name):
        return name
    return f"sha256:{sha256(token.rpartition('.')[0].encode()).hexdigest()}"


def _caller(claims: _Claims, token: str, now: float) -> Caller:
    if not is_subject(claims.sub):
        raise ValueError("the subject is malformed")
    if not all(store == EVERY_STORE or is_id(store) for store in claims.stores):
        raise ValueError("a store is malformed")
    if claims.brand is not None and not is_id(claims.brand):
        raise ValueError("the brand is malformed")
    if not (math.isfinite(claims.iat) and math.isfinite(claims.auth_time)):
        raise ValueError("iat or auth_time is no number of seconds")
    return Caller(
        claims.sub,
        claims.role,
        frozenset(claims.stores),
        _channel("table", claims.table),
        claims.brand,
        _channel("device", claims.device),
        int(min(claims.iat, now)),
        claims.exp,
        int(min(claims.auth_time, now)),
        key_of("token", token_name(token, {"jti": claims.jti})),
        "" if claims.sid is None else key_of("session", claims.sid),
        claims.sid or "",
    )


def _channel(kind: str, ids: str | None) -> Channel | None:
    return parse_channel(f"{kind}:{ids}") if ids is not None else None
