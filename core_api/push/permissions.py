"""Who may subscribe an owner's browser to pushes, and who may see which are subscribed. Pure."""

from __future__ import annotations

from core_api.access.callers import Caller
from core_api.errors import ForbiddenError


def check_subscribes(caller: Caller, store_id: str) -> None:
    """Whether the caller may subscribe to new orders of a store, and end what is subscribed.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role != "owner" or not caller.has_store(store_id):
        raise ForbiddenError("only an owner of the store can subscribe to its orders")


def check_sees(caller: Caller, store_id: str) -> None:
    """Whether the caller may see which browsers of a store are subscribed.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role != "ops":
        check_subscribes(caller, store_id)
