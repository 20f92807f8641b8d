"""Verifies access tokens: our own and the provider's, unless they are revoked."""

from __future__ import annotations

from collections.abc import Callable

from core_api.access.callers import Caller
from core_api.access.provider.tokens import ProviderTokens, is_for_provider
from core_api.access.tokens import TokenKeys
from core_api.errors import UnauthorizedError
from server_common.access.access_tokens import TokenError, bearer_token


class SignIn:
    """Verifies the tokens of all callers.

    Args:
        own: our own token keys.
        provider: the provider's tokens; None: there is no provider.
        check: raises UnauthorizedError for a caller whose token is revoked.
    """

    def __init__(
        self,
        own: TokenKeys,
        provider: ProviderTokens | None = None,
        check: Callable[[Caller], None] = lambda _caller: None,
    ) -> None:
        self._own = own
        self._provider = provider
        self.check = check

    def caller_of(self, authorization: str) -> Caller:
        """The caller, by the header Authorization.

        Raises:
            UnauthorizedError: there is no token; and as `verify`.
        """
        try:
            return self.verify(bearer_token(authorization))
        except TokenError as error:
            raise UnauthorizedError(str(error)) from error

    def verify(self, token: str) -> Caller:
        """Who holds the token.

        Raises:
            UnauthorizedError: malformed, forged, expired, revoked, or signed by a key that is
                unknown.
            ForbiddenError: it is the provider's, and grants no access here.
            UnavailableError: whether it is good is not known yet.
        """
        if self._provider is not None and is_for_provider(token):
            caller = self._provider.verify(token)
        else:
            caller = self._own.verify(token)
        self.check(caller)
        return caller
