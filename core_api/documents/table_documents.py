"""The documents that the guests of one table share: the cart, the bell, who pays what. Pure.

A cart is ordered in two steps, so that two phones that press at once order it once. A phone first
takes what it sees out of the lines, under an id of its own making: Core runs that on the newest
value, so the second phone finds nothing left to take and is refused. Then it places the order with
that id as Idempotency-Key, and strikes it off, or gives the lines back if Core refuses the order.
What was taken stays in the document meanwhile: a phone that breaks off goes on, or another does.

Core may refuse one phone and then take the same order from another that helps. So a line that came
back says of which order, and `placed` has the last word whichever of the two comes first.
"""

from __future__ import annotations

from typing import Any, Final

from client_sdk.contract.state.values import Value
from core_api.documents.definitions import Definition
from core_api.documents.refusals import CallRefusedError
from core_api.documents.schemas import DAY_S, NAME, NOTE, PRICE, by_id, closed_object

MAX_QUANTITY: Final = 999
_COUNT: Final = {"type": "integer", "minimum": 0}
_QUANTITY: Final = {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY}
_LINE: Final = closed_object(
    {
        "name": NAME,
        "quantity": _QUANTITY,
        "unit_price": PRICE,
        "note": NOTE,
        "by": NAME,
        "back": closed_object({"order": NAME, "quantity": _QUANTITY}, "order", "quantity"),
    },
    "name",
    "quantity",
    "unit_price",
)


def take(current: Value | None, arguments: Any) -> Value:
    """A phone takes lines out to order them: `{"id", "by", "note", "lines": {id: quantity}}`.

    Raises:
        CallRefusedError: the arguments are of another form, a line is not as the phone saw it, or
            the id was used before.
    """
    given = arguments if type(arguments) is dict else {}
    order_id, seen = given.get("id"), given.get("lines")
    if type(order_id) is not str or type(seen) is not dict or not seen:
        raise CallRefusedError('take takes {"id", "by", "note", "lines": {id: quantity}}')
    value = current or {"lines": {}}
    lines, orders = value["lines"], value.get("orders", {})
    if order_id in orders:
        raise CallRefusedError(f"{order_id} was taken already")
    if any(key not in lines or lines[key]["quantity"] != seen[key] for key in seen):
        raise CallRefusedError("another phone has ordered or changed some of it: look again")
    taken = {key: lines[key] for key in seen}
    left = {key: line for key, line in lines.items() if key not in seen}
    entry = {"lines": taken, "by": given.get("by", ""), "note": given.get("note", "")}
    return value | {"lines": left, "orders": orders | {order_id: entry}}


def placed(current: Value | None, arguments: Any) -> Value:
    """What was taken is ordered: `{"id"}`. Once it is struck off, this changes nothing.

    Lines of it that came back meanwhile are struck off, too, as far as they came back.

    Raises:
        CallRefusedError: the arguments are of another form.
    """
    order_id, value, orders = _taken(current, arguments, "placed")
    left = {key: _without(order_id, line) for key, line in value["lines"].items()}
    lines = {key: line for key, line in left.items() if line["quantity"] > 0}
    return _struck(value | {"lines": lines}, orders, order_id)


def _without(order_id: str, line: Value) -> Value:
    """The line less what came back to it of the order; its quantity may be 0 or less."""
    back = line.get("back")
    if back is None or back["order"] != order_id:
        return line
    rest = {name: part for name, part in line.items() if name != "back"}
    return rest | {"quantity": line["quantity"] - back["quantity"]}


def give_back(current: Value | None, arguments: Any) -> Value:
    """What was taken is not ordered: `{"id"}`. Its lines come back; raises as `placed`."""
    order_id, value, orders = _taken(current, arguments, "give-back")
    lines = dict(value["lines"])
    for key, line in orders.get(order_id, {"lines": {}})["lines"].items():
        more = lines[key]["quantity"] if key in lines else 0
        lines[key] = line | {
            "quantity": min(line["quantity"] + more, MAX_QUANTITY),
            "back": {"order": order_id, "quantity": line["quantity"]},
        }
    return _struck(value | {"lines": lines}, orders, order_id)


def _taken(current: Value | None, arguments: Any, name: str) -> tuple[str, Value, Value]:
    order_id = arguments.get("id") if type(arguments) is dict else None
    if type(order_id) is not str:
        raise CallRefusedError(f'{name} takes {{"id": text}}')
    value = current or {"lines": {}}
    return order_id, value, value.get("orders", {})


def _struck(value: Value, orders: Value, order_id: str) -> Value:
    rest = {key: part for key, part in value.items() if key != "orders"}
    left = {key: one for key, one in orders.items() if key != order_id}
    return rest | {"orders": left} if left else rest


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


CART: Final = Definition(
    key="cart",
    scopes=frozenset({"party"}),
    strategy="merge",
    writers=frozenset({"owner", "table"}),
    schema=closed_object(
        {
            "lines": by_id(_LINE, 200),
            "orders": by_id(
                closed_object(
                    {"lines": by_id(_LINE, 200), "by": {**NAME, "minLength": 0}, "note": NOTE},
                    "lines",
                ),
                20,
            ),
        },
        "lines",
    ),
    calls={"take": take, "placed": placed, "give-back": give_back},
    history_s=2 * DAY_S,
    max_age_s=DAY_S // 2,
)
"""What a table is about to order; four phones fill it together. `orders`: what was taken out to be
ordered, and is not placed yet."""

BELL: Final = Definition(
    key="bell",
    scopes=frozenset({"party"}),
    strategy="call",
    writers=frozenset({"owner", "table"}),
    schema=closed_object({"rung": _COUNT, "answered": _COUNT, "reason": NOTE}, "rung", "answered"),
    calls={"ring": ring, "answer": answer},
    history_s=DAY_S,
    max_age_s=DAY_S // 96,
)
"""The table's call bell. To ring and to answer are intentions: both hold, whichever comes first."""

BILL: Final = Definition(
    key="bill",
    scopes=frozenset({"party"}),
    strategy="merge",
    writers=frozenset({"owner", "table"}),
    schema=closed_object(
        {
            "ways": {"type": "integer", "minimum": 1, "maximum": 99},
            "shares": by_id(
                {"type": "object", "additionalProperties": PRICE, "maxProperties": 50}, 500
            ),
        }
    ),
    history_s=2 * DAY_S,
    max_age_s=DAY_S // 2,
)
"""How the bill is split: into how many equal parts, and by order who has ordered for how much."""

PARTY: Final = Definition(
    key="party",
    scopes=frozenset({"party"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema=closed_object({"number": _COUNT}, "number"),
    history_s=30 * DAY_S,
    max_age_s=DAY_S,
)
"""Which party sits at the table, counted. A change of it ends the one that sat there: the guests'
tokens from before are refused (`core_api/parties/`)."""
