"""The documents of the demonstration's restaurant, and an example for any other. Pure.

Lists whose entries several people edit are objects by id, so that each entry is merged by itself.
"""

from __future__ import annotations

from typing import Final

from core_api.documents.definitions import Definition
from core_api.documents.schemas import DAY_S, NAME, NOTE, PHONE, PRICE, by_id, closed_object
from core_api.documents.table_documents import BELL, BILL, CART, PARTY

SOLD_OUT: Final = Definition(
    key="sold-out",
    scopes=frozenset({"public"}),
    strategy="merge",
    writers=frozenset({"owner", "producer"}),
    schema=closed_object(
        {"items": by_id(closed_object({"name": NAME, "until": NOTE}, "name"), 2000)}, "items"
    ),
    max_age_s=DAY_S,
)
"""What cannot be ordered now, by the menu's ids; a store's own till, a producer, may say it too."""

WAITING_TIME: Final = Definition(
    key="waiting-time",
    scopes=frozenset({"public"}),
    strategy="last",
    writers=frozenset({"owner"}),
    schema=closed_object({"value": {"type": "integer", "minimum": 0, "maximum": 600}}, "value"),
    history_s=7 * DAY_S,
    max_age_s=DAY_S // 24,
)
"""How long the kitchen takes, in minutes."""

TAKING_ORDERS: Final = Definition(
    key="taking-orders",
    scopes=frozenset({"public"}),
    strategy="last",
    writers=frozenset({"owner", "producer"}),
    schema=closed_object({"value": {"type": "boolean"}, "reason": NOTE}, "value"),
    max_age_s=DAY_S // 2,
)
"""Whether the store takes orders at all, and why not."""

MENU: Final = Definition(
    key="menu",
    scopes=frozenset({"brand"}),
    strategy="ask",
    writers=frozenset({"brand"}),
    schema=closed_object(
        {
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "items": by_id(
                closed_object({"name": NAME, "price": PRICE, "category": NAME, "note": NOTE},
                        "name", "price"),
                2000,
            ),
        },
        "currency",
        "items",
    ),
    history_s=365 * DAY_S,
    max_age_s=30 * DAY_S,
)  # fmt: skip
"""What can be ordered, and for how much in the currency's minor unit."""

NOTICE: Final = Definition(
    key="notice",
    scopes=frozenset({"global"}),
    strategy="last",
    writers=frozenset({"ops"}),
    schema=closed_object({"text": NOTE, "level": {"enum": ["info", "warning"]}}, "text", "level"),
    max_age_s=DAY_S,
)
"""What the operator tells every store."""

SHIFT: Final = Definition(
    key="shift",
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=closed_object(
        {"people": by_id(closed_object({"name": NAME, "task": NOTE, "since": NOTE}, "name"), 200)},
        "people",
    ),
    max_age_s=DAY_S,
)
"""Who is on shift, and what each does."""

CONTACT: Final = Definition(
    key="contact",
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=closed_object({"name": NAME, "phone": PHONE}, "name", "phone"),
    max_age_s=DAY_S,
)
"""Whom the operator phones when an order reaches nobody: the ops page shows it."""
_MINUTES: Final = {"type": "integer", "minimum": 1, "maximum": 600}
_LIMITS: Final = closed_object({"amber": _MINUTES, "red": _MINUTES}, "amber", "red")

AGE_LIMITS: Final = Definition(
    key="age-limits",
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=closed_object({"new": _LIMITS, "progress": _LIMITS, "ready": _LIMITS}),
    max_age_s=DAY_S,
)
"""After how many minutes an order's age turns amber and red on the terminals, by their columns."""

DEFINITIONS: Final = (
    SOLD_OUT,
    WAITING_TIME,
    TAKING_ORDERS,
    MENU,
    NOTICE,
    CART,
    BELL,
    BILL,
    PARTY,
    SHIFT,
    CONTACT,
    AGE_LIMITS,
)
"""All of them: the entry point `demonstration`."""
