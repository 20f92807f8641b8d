"""Refuses orders of dishes that are sold out, and orders of a store that takes none. Pure.

The store's documents say which. An order is decided on them as they were read, and its statement
checks that they still are: `StoreRules.number` is compared under the lock of the store's counter
row, which every change of these documents takes as well. So no order passes a committed `sold-out`
or a closed store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

from client_sdk.contract.channel import Channel
from client_sdk.contract.order import Item
from core_api.errors import NotTakingOrdersError, SoldOutError

SOLD_OUT: Final = "sold-out"
TAKING_ORDERS: Final = "taking-orders"
OBEYED: Final = (SOLD_OUT, TAKING_ORDERS)
"""The keys of the documents in `public:{store}` that its orders obey."""


@dataclass(frozen=True, slots=True)
class StoreRules:
    """The rules for new orders of one store."""

    number: int = 0
    """When one of the documents last changed, in microseconds; 0: never."""
    sold_out: frozenset[str] = frozenset()
    """The names of what cannot be ordered, as `same_name` writes them."""
    is_taking: bool = True
    reason: str = ""
    """Why it takes no orders."""


def is_obeyed(channel: Channel, key: str) -> bool:
    """Whether orders of the channel's store obey the document of this key."""
    return channel.kind == "public" and key in OBEYED


def rules_of(number: int, documents: Mapping[str, Any]) -> StoreRules:
    """The rules that a store's documents make.

    Args:
        number: of the store's counter row, read with the documents at one moment.
        documents: the values by key; a missing document sets no rule.
    """
    sold_out = (documents.get(SOLD_OUT) or {}).get("items") or {}
    taking = documents.get(TAKING_ORDERS) or {}
    return StoreRules(
        number,
        frozenset(same_name(item["name"]) for item in sold_out.values()),
        taking.get("value", True) is not False,
        taking.get("reason", ""),
    )


def check_taking(rules: StoreRules, store_id: str) -> None:
    """Whether the store takes orders.

    Raises:
        NotTakingOrdersError: it does not.
    """
    if not rules.is_taking:
        why = f": {rules.reason}" if rules.reason else ""
        raise NotTakingOrdersError(f"store {store_id} takes no orders now{why}")


def check_items(rules: StoreRules, names: Iterable[str]) -> None:
    """Whether all of this can be ordered.

    Raises:
        SoldOutError: something is sold out.
    """
    if not rules.sold_out:
        return
    missing = sorted({name for name in names if same_name(name) in rules.sold_out})
    if missing:
        raise SoldOutError(f"sold out: {', '.join(missing)}", missing)


def ordered_more(before: Sequence[Item], after: Sequence[Item]) -> list[str]:
    """The names of what a change orders more of."""
    if before == after:
        return []
    had, has = Counter[str](), Counter[str]()
    for item in before:
        had[item.name] += item.quantity
    for item in after:
        has[item.name] += item.quantity
    return [name for name, quantity in has.items() if quantity > had[name]]


def same_name(name: str) -> str:
    """The form in which two spellings of one dish's name are equal."""
    # Folding takes some letters apart, as "ΐ", that are one letter in another writing.
    return " ".join(normalize("NFKC", normalize("NFKC", name).casefold()).split())
