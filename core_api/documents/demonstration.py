"""The documents of the demonstration's restaurant, and an example for any other. Pure.

Lists whose entries several people edit are objects by id, so that each entry is merged by itself.
"""

from __future__ import annotations

from typing import Any, Final

from client_sdk.contract.state.values import Value
from core_api.documents.definitions import Definition
from core_api.documents.refusals import CallRefusedError

_DAY_S: Final = 86_400
_ID: Final = {"pattern": r"^[A-Za-z0-9_.\-]{1,64}$"}
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_NOTE: Final = {"type": "string", "maxLength": 500}
_PRICE: Final = {"type": "integer", "minimum": 0, "maximum": 10**12}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _by_id(entry: dict[str, Any], most: int) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": _ID,
        "additionalProperties": entry,
        "maxProperties": most,
    }


def ring(current: Value | None, arguments: Any) -> Value:
    """A guest rings: one more than before, with the newest reason.

    Raises:
        CallRefusedError: the arguments are not `{"reason": text}`.
    """
    reason = arguments.get("reason", "") if type(arguments) is dict else None
    if type(reason) is not str:
        raise CallRefusedError('ring takes {"reason": "…"}')
    before = current or {"rung": 0, "answered": 0}
    return before | {"rung": before["rung"] + 1, "reason": reason}


def answer(current: Value | None, arguments: Any) -> Value:
    """Somebody has answered, up to the ring that they saw: a later one stays unanswered.

    Raises:
        CallRefusedError: the arguments are not `{"rung": number}`, or nobody has rung so often.
    """
    rung = arguments.get("rung") if type(arguments) is dict else None
    if type(rung) is not int:
        raise CallRefusedError('answer takes {"rung": number}, the ring that was seen')
    if current is None or rung > current["rung"]:
        raise CallRefusedError(f"the bell has not rung {rung} times")
    return current | {"answered": max(current["answered"], rung)}


SOLD_OUT: Final = Definition(
    key="sold-out",
    scopes=frozenset({"public"}),
    strategy="merge",
    writers=frozenset({"owner", "producer"}),
    schema=_object(
        {"items": _by_id(_object({"name": _NAME, "until": _NOTE}, "name"), 2000)}, "items"
    ),
    max_age_s=_DAY_S,
)
"""What cannot be ordered now, by the menu's ids; a store's own till, a producer, may say it too."""

WAITING_TIME: Final = Definition(
    key="waiting-time",
    scopes=frozenset({"public"}),
    strategy="last",
    writers=frozenset({"owner"}),
    schema=_object({"value": {"type": "integer", "minimum": 0, "maximum": 600}}, "value"),
    history_s=7 * _DAY_S,
    max_age_s=_DAY_S // 24,
)
"""How long the kitchen takes, in minutes."""

TAKING_ORDERS: Final = Definition(
    key="taking-orders",
    scopes=frozenset({"public"}),
    strategy="last",
    writers=frozenset({"owner", "producer"}),
    schema=_object({"value": {"type": "boolean"}, "reason": _NOTE}, "value"),
    max_age_s=_DAY_S // 2,
)
"""Whether the store takes orders at all, and why not."""

MENU: Final = Definition(
    key="menu",
    scopes=frozenset({"brand"}),
    strategy="ask",
    writers=frozenset({"brand"}),
    schema=_object(
        {
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "items": _by_id(
                _object({"name": _NAME, "price": _PRICE, "category": _NAME, "note": _NOTE},
                        "name", "price"),
                2000,
            ),
        },
        "currency",
        "items",
    ),
    history_s=365 * _DAY_S,
    max_age_s=30 * _DAY_S,
)  # fmt: skip
"""What can be ordered, and for how much in the currency's minor unit."""

NOTICE: Final = Definition(
    key="notice",
    scopes=frozenset({"global"}),
    strategy="last",
    writers=frozenset({"ops"}),
    schema=_object({"text": _NOTE, "level": {"enum": ["info", "warning"]}}, "text", "level"),
    max_age_s=_DAY_S,
)
"""What the operator tells every store."""

CART: Final = Definition(
    key="cart",
    scopes=frozenset({"party"}),
    strategy="merge",
    writers=frozenset({"owner", "table"}),
    schema=_object(
        {
            "lines": _by_id(
                _object(
                    {
                        "name": _NAME,
                        "quantity": {"type": "integer", "minimum": 1, "maximum": 999},
                        "unit_price": _PRICE,
                        "note": _NOTE,
                        "by": _NAME,
                    },
                    "name",
                    "quantity",
                    "unit_price",
                ),
                200,
            )
        },
        "lines",
    ),
    history_s=2 * _DAY_S,
    max_age_s=_DAY_S // 2,
)
"""What a table is about to order; four phones fill it together."""

BELL: Final = Definition(
    key="bell",
    scopes=frozenset({"party"}),
    strategy="call",
    writers=frozenset({"owner", "table"}),
    schema=_object(
        {
            "rung": {"type": "integer", "minimum": 0},
            "answered": {"type": "integer", "minimum": 0},
            "reason": _NOTE,
        },
        "rung",
        "answered",
    ),
    calls={"ring": ring, "answer": answer},
    history_s=_DAY_S,
    max_age_s=_DAY_S // 96,
)
"""The table's call bell. To ring and to answer are intentions: both hold, whichever comes first."""

SHIFT: Final = Definition(
    key="shift",
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=_object(
        {"people": _by_id(_object({"name": _NAME, "task": _NOTE, "since": _NOTE}, "name"), 200)},
        "people",
    ),
    max_age_s=_DAY_S,
)
"""Who is on shift, and what each does."""

DEFINITIONS: Final = (SOLD_OUT, WAITING_TIME, TAKING_ORDERS, MENU, NOTICE, CART, BELL, SHIFT)
"""All of them: the entry point `demonstration`."""
