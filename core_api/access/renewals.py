"""How long a sign-in lasts: tokens are renewed, up to a limit for the whole sign-in. Pure."""

from __future__ import annotations

from dataclasses import replace

from core_api.access.callers import Caller
from core_api.errors import ForbiddenError


def successor(caller: Caller, now: float, most_s: int) -> tuple[Caller, int]:
    """The caller of an owner's next token, and the seconds for which it is valid.

    It is good for as long as the one before was, and never beyond `most_s` after the sign-in.

    Args:
        caller: who holds the token before.
        now: seconds since 1970.
        most_s: how long one may stay signed in, in seconds.

    Raises:
        ForbiddenError: the token is not an owner's, has no `iat`, or can no longer be renewed.
    """
    lifetime_s = _renewed_for(caller, now, most_s)
    if now + lifetime_s <= caller.expires_at:
        raise ForbiddenError("this sign-in has lasted as long as one may: sign in again")
    return replace(caller, signed_in_at=_signed_in_at(caller)), lifetime_s


def lifetime_beside(caller: Caller, now: float, most_s: int) -> int:
    """The seconds for which another device's token is valid: as long as the caller could stay.

    Args:
        caller: who signs the other device in.
        now: seconds since 1970.
        most_s: how long one may stay signed in, in seconds.

    Raises:
        ForbiddenError: as `successor`, but a token that can no longer be renewed lets others in
            until it expires.
    """
    return max(_renewed_for(caller, now, most_s), int(caller.expires_at - now))


def _renewed_for(caller: Caller, now: float, most_s: int) -> int:
    if caller.role != "owner":
        raise ForbiddenError("only an owner's token can be renewed, or pair a new tablet")
    if caller.expires_at == 0:
        raise ForbiddenError("renew a provider's token at the provider; it cannot pair a tablet")
    if caller.issued_at == 0:
        raise ForbiddenError("a token that does not say when it was made (iat) cannot be renewed")
    lifetime_s = caller.expires_at - caller.issued_at
    return min(lifetime_s, int(_signed_in_at(caller) + most_s - now))


def _signed_in_at(caller: Caller) -> int:
    return caller.signed_in_at or caller.issued_at
