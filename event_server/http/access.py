"""Who may read `/metrics`: the holder of an access token of role ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from event_server.errors import StreamRefusedError
from server_common.access.access_tokens import TokenError, TokenVerifier, bearer_token


class OpsTokens:
    """Verifies access tokens and accepts only role ops.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        time: seconds since the Unix epoch, by this machine's clock.

    Raises:
        SettingsError: there is no key, or one is too short.
    """

    def __init__(self, keys: Mapping[str, str], time: Callable[[], float]) -> None:
        self._verifier = TokenVerifier({kid: key.encode() for kid, key in keys.items()})
        self._time = time

    def check(self, authorization: str) -> None:
        """Check an Authorization header.

        Raises:
            StreamRefusedError: there is no valid token in it, or its role is not ops.
        """
        try:
            claims = self._verifier.claims(bearer_token(authorization), self._time())
        except TokenError as error:
            raise StreamRefusedError("unauthorized", str(error)) from error
        if claims.get("role") != "ops":
            raise StreamRefusedError("forbidden", "/metrics takes a token of role ops")
