"""Who may do what with webhooks. Pure.

| | owner of all its stores | ops |
| --- | --- | --- |
| register, remove, rotate, replay | yes | |
| resume | yes, unless ops have disabled it | yes |
| disable | | yes |
| see | yes | yes |

A webhook sends what its owner may follow anyway, so only owners register one: a brand's token
follows no orders. It stays active when the token with which it was registered is revoked.
"""

from __future__ import annotations

from collections.abc import Iterable

from core_api.access.callers import Caller
from core_api.errors import ForbiddenError, NotFoundError


def check_registers(caller: Caller, stores: Iterable[str]) -> None:
    """Whether the caller may register a webhook of these stores.

    Raises:
        ForbiddenError: it may not.
    """
    if not owns(caller, stores):
        raise ForbiddenError("only an owner of all its stores registers a webhook")


def check_keeps(caller: Caller, webhook_id: str, stores: Iterable[str]) -> None:
    """Whether the caller may remove, rotate and replay a webhook of these stores.

    Args:
        caller: who asks.
        webhook_id: which one; only for the text of the error.
        stores: all that it sends orders of.

    Raises:
        ForbiddenError: it may only see it.
        NotFoundError: it may not know of it.
    """
    check_sees(caller, webhook_id, stores)
    if caller.role == "ops":
        raise ForbiddenError("ops only see, disable and resume webhooks; their owners change them")


def check_sees(caller: Caller, webhook_id: str, stores: Iterable[str]) -> None:
    """Whether the caller may see a webhook of these stores.

    Args:
        caller, webhook_id, stores: as for `check_keeps`.

    Raises:
        NotFoundError: it may not know of it.
    """
    if caller.role != "ops" and not owns(caller, stores):
        raise NotFoundError(f"there is no webhook {webhook_id}, or it is not yours")


def check_lists(caller: Caller) -> None:
    """Whether the caller may list webhooks.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role not in ("owner", "ops"):
        raise ForbiddenError("only owners and ops may see webhooks")


def owns(caller: Caller, stores: Iterable[str]) -> bool:
    """Whether the caller is an owner of all these stores."""
    return caller.role == "owner" and all(map(caller.has_store, stores))
