"""How long a sign-in goes on: tokens are renewed, up to a limit of the whole. Pure."""

from __future__ import annotations

from dataclasses import replace

from core_api.access.callers import Caller
from core_api.errors import ForbiddenError


def successor(caller: Caller, now: float, most_s: int) -> tuple[Caller, int]:
    """Who the next token of an owner names, and for how many seconds it is good.

    It is good for as long as the one before was, and never beyond `most_s` after the sign-in.

    Args:
        caller: who holds the token before.
        now: seconds since 1970.
        most_s: how long one may stay signed in, in seconds.

    Raises:
        ForbiddenError: it is no owner's, does not say since when it is good, or can be renewed no
            longer.
    """
    lifetime_s = _renewed_for(caller, now, most_s)
    if now + lifetime_s <= caller.expires_at:
        raise ForbiddenError("this sign-in has lasted as long as one may: sign in anew")
    return replace(caller, signed_in_at=_signed_in_at(caller)), lifetime_s


def lifetime_beside(caller: Caller, now: float, most_s: int) -> int:
    """For how many seconds another device is let in: as long as the caller could stay by itself.

    Raises:
        ForbiddenError: as `successor`, except that a token that can be renewed no longer lets
            others in until its own end.
    """
    return max(_renewed_for(caller, now, most_s), int(caller.expires_at - now))


def _renewed_for(caller: Caller, now: float, most_s: int) -> int:
    if caller.role != "owner":
        raise ForbiddenError("only an owner's token can be renewed, or let a new tablet in")
    if caller.expires_at == 0:
        raise ForbiddenError("a token of a provider is renewed there, and lets no tablet in")
    if caller.issued_at == 0:
        raise ForbiddenError("a token that does not say when it was made (iat) cannot be renewed")
    lifetime_s = caller.expires_at - caller.issued_at
    return min(lifetime_s, int(_signed_in_at(caller) + most_s - now))


def _signed_in_at(caller: Caller) -> int:
    return caller.signed_in_at or caller.issued_at
