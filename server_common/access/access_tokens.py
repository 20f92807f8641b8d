"""Access tokens as both servers read them: JWT (RFC 7519), HS256, keys by `kid` for rotation.

`core_api/access/tokens.py` reads the claims about the bearer (role, stores, table).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import jwt

from client_sdk.contract.errors import YabamError
from server_common.errors import SettingsError

AUDIENCE: Final = "yabam"
ALGORITHM: Final = "HS256"
MAX_TOKEN_CHARS: Final = 12_288
_SHORTEST_KEY: Final = 32
_MALFORMED: Final = "the token is not a valid JWT of this system"
EXPIRED: Final = "the token has expired: get a new one"


class TokenError(YabamError):
    """There is no valid token; the text says why, and may be shown to the caller."""


def bearer_token(authorization: str) -> str:
    """The token in a header Authorization.

    Raises:
        TokenError: there is none.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenError("send an access token as Authorization: Bearer …")
    return token.strip()


class TokenVerifier:
    """Verifies that one of the keys has signed a token.

    Args:
        keys: secrets of at least 32 bytes by `kid`.

    Raises:
        SettingsError: there is no key, or one is too short.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise SettingsError("YABAM_TOKEN_KEYS names no key")
        for kid, key in keys.items():
            if len(key) < _SHORTEST_KEY:
                raise SettingsError(
                    f"YABAM_TOKEN_KEYS: the key {kid!r} is shorter than {_SHORTEST_KEY} bytes"
                )
        self._keys = dict(keys)

    def claims(self, token: str, now: float) -> dict[str, object]:
        """The token's claims; its `exp` is an integer later than `now` (Unix seconds).

        Raises:
            TokenError: malformed, forged, expired, or signed by a key that we do not have.
        """
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise TokenError(_MALFORMED)
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise TokenError("the token is signed by a key that this system lacks")
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                options={
                    "require": ["exp", "sub", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenError(_MALFORMED) from error
        expires_at = claims["exp"]
        if type(expires_at) is not int:
            raise TokenError(_MALFORMED)
        if now >= expires_at:
            raise TokenError(EXPIRED)
        return claims
