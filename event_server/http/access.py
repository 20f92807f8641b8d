"""Who may read `/metrics`: the holder of an access token (JWT, HS256, `kid`) of role ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import jwt

from event_server.errors import StreamRefusedError
from server_common.errors import SettingsError

AUDIENCE: Final = "yabam"
_ALGORITHM: Final = "HS256"
_MAX_TOKEN_CHARS: Final = 8192


class OpsTokens:
    """Verifies access tokens and accepts only role ops.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        time: seconds since the Unix epoch, by this machine's clock.

    Raises:
        SettingsError: there is no key, or one is too short.
    """

    def __init__(self, keys: Mapping[str, str], time: Callable[[], float]) -> None:
        if not keys:
            raise SettingsError("YABAM_TOKEN_KEYS names no key")
        for kid, key in keys.items():
            if len(key.encode()) < 32:
                raise SettingsError(f"YABAM_TOKEN_KEYS: the key {kid!r} is shorter than 32 bytes")
        self._keys = dict(keys)
        self._time = time

    def check(self, authorization: str) -> None:
        """Check an Authorization header.

        Raises:
            StreamRefusedError: there is no valid token in it, or its role is not ops.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise StreamRefusedError(
                "unauthorized", "send an access token as Authorization: Bearer …"
            )
        if self._claims(token.strip()).get("role") != "ops":
            raise StreamRefusedError("forbidden", "/metrics takes a token of role ops")

    def _claims(self, token: str) -> dict[str, object]:
        malformed = StreamRefusedError(
            "unauthorized", "the token is not a valid JWT of this system"
        )
        if len(token) > _MAX_TOKEN_CHARS:
            raise malformed
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise malformed
            claims: dict[str, object] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                options={
                    "require": ["exp", "sub", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise malformed from error
        expires_at = claims["exp"]
        if not isinstance(expires_at, int) or self._time() >= expires_at:
            raise StreamRefusedError("unauthorized", "the token has expired: get a new one")
        return claims
