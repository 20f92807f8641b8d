"""A write that obeys the rules of `sold_out_or_closed.py` at the time of its commit.

It is decided again if the rules have changed meanwhile. That module says why no write passes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from core_api.errors import ConflictError, NotTakingOrdersError, SoldOutError
from core_api.store_rules.cache import RulesCache
from core_api.store_rules.sold_out_or_closed import StoreRules

T = TypeVar("T")

MAX_ATTEMPTS: Final = 50
"""How often a write is decided again because the rules have changed meanwhile."""


async def obeying(
    known: RulesCache,
    store_id: str,
    check: Callable[[StoreRules], None],
    write: Callable[[int], Awaitable[T]],
    is_outdated: Callable[[T], bool],
) -> T:
    """Write what the rules permit.

    Args:
        known: the rules of stores, perhaps stale.
        store_id: the store.
        check: raises if the rules forbid it.
        write: writes it on the condition that the rules still have this number.
        is_outdated: whether, by the result of `write`, the number differed.

    Returns:
        What `write` gave.

    Raises:
        NotTakingOrdersError: the rules, as they are now, forbid it; so does SoldOutError.
        ConflictError: the rules kept changing.
        UnavailableError: the database does not answer.
    """
    rules = known.of(store_id)
    for _ in range(MAX_ATTEMPTS):
        try:
            check(rules)
        except (NotTakingOrdersError, SoldOutError):
            rules = await known.read(store_id)
            check(rules)
        outcome = await write(rules.number)
        if not is_outdated(outcome):
            return outcome
        rules = await known.read(store_id)
    raise ConflictError("what the store has sold out kept changing: try again")
