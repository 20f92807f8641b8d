"""The plan of a replay: recorded orders, sorted, each with a store, a table and its steps.

The file has one row per line of an order: OrderNumber, OrderDate (dd/mm/yyyy hh:mm), ItemName,
Quantity, ProductPrice (a decimal in the currency's major unit), TotalProducts. An order's rows may
stand anywhere in the file; rows with the same order number belong together. Orders are replayed by
date, then by number.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from client_sdk.contract.order import Item, OrderStatus
from client_sdk.errors import ClientError

_COLUMNS: Final = ("OrderNumber", "OrderDate", "ItemName", "Quantity", "ProductPrice")
_LIVES: Final[tuple[tuple[int, tuple[OrderStatus, ...]], ...]] = (
    (80, ("accepted", "preparing", "ready", "served", "paid")),
    (8, ("accepted", "ready", "served", "paid")),
    (6, ("rejected",)),
    (4, ("cancelled",)),
    (2, ("accepted", "preparing", "cancelled")),
)
"""The sequences of steps, each with its share of the orders in percent."""
_CHANGED_OF_HUNDRED: Final = 10


class ReplayError(ClientError):
    """The file or an option of a replay is wrong; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class RealOrder:
    """One order of the file; prices in minor units."""

    number: str
    at: datetime
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """One order with its planned store, table and steps."""

    order: RealOrder
    store_id: str
    table_id: str
    steps: tuple[OrderStatus, ...]
    change_note: str | None
    """The new note after it was placed; None: it is not changed."""


@dataclass(frozen=True, slots=True)
class ReplaySpeed:
    """How many times faster than recorded; None: as fast as possible."""

    speed_up: float | None

    @classmethod
    def parse(cls, text: str) -> ReplaySpeed:
        """Read a number above 0, or `max`.

        Raises:
            ReplayError: the text is neither.
        """
        if text == "max":
            return cls(None)
        try:
            speed_up = float(text)
        except ValueError:
            speed_up = 0.0
        if not 0 < speed_up < float("inf"):
            raise ReplayError(f"{text!r} is not a speed-up: write a number above 0, or max")
        return cls(speed_up)

    def due(self, first: datetime, at: datetime) -> float:
        """When an order is due, in seconds after the start."""
        return 0.0 if self.speed_up is None else (at - first).total_seconds() / self.speed_up


def read_orders(lines: Iterable[str]) -> list[RealOrder]:
    """The orders of a CSV file, in the order of their arrival.

    Raises:
        ReplayError: a column is missing, or a row cannot be read; the text names its line.
    """
    rows = csv.DictReader(lines)
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ReplayError(f"the file has no column {', '.join(missing)}")
    orders: dict[str, RealOrder] = {}
    for row in rows:
        try:
            number, at, item = _row(row)
        except (ValueError, InvalidOperation, TypeError) as error:
            raise ReplayError(f"line {rows.line_num} cannot be read: {error}") from error
        known = orders.get(number)
        if known is None:
            orders[number] = RealOrder(number, at, (item,))
        else:
            orders[number] = replace(known, at=min(known.at, at), items=(*known.items, item))
    return sorted(orders.values(), key=lambda order: (order.at, int(order.number)))


def plan(orders: Sequence[RealOrder], stores: int, tables: int, seed: int) -> list[Planned]:
    """Give each order a store, a table and its steps.

    Args:
        orders: in the order in which they are replayed.
        stores: how many there are; their ids are 1, 2, 3 and so on.
        tables: how many each store has, named in the same way.
        seed: of the random numbers; the same seed returns the same plan.

    Raises:
        ReplayError: there is no store or no table.
    """
    if stores < 1 or tables < 1:
        raise ReplayError("a replay needs at least one store and one table")
    chance = random.Random(seed)  # noqa: S311 (a plan, not a secret)
    weights = [weight for weight, _ in _LIVES]
    planned = []
    for order in orders:
        (_, steps), *_rest = chance.choices(_LIVES, weights)
        changed = chance.randrange(100) < _CHANGED_OF_HUNDRED
        planned.append(
            Planned(
                order,
                str(chance.randrange(stores) + 1),
                str(chance.randrange(tables) + 1),
                steps,
                f"changed after {order.number}" if changed else None,
            )
        )
    return planned


def _row(row: dict[str, str]) -> tuple[str, datetime, Item]:
    number = str(int(row["OrderNumber"]))
    at = datetime.strptime(row["OrderDate"], "%d/%m/%Y %H:%M")
    price = Decimal(row["ProductPrice"]) * 100
    if price != price.to_integral_value() or price < 0:
        raise ValueError(f"the price {row['ProductPrice']!r} is not in whole pennies")
    quantity = int(row["Quantity"])
    if quantity < 1 or not row["ItemName"]:
        raise ValueError("an item needs a name and a quantity of at least 1")
    return number, at, Item(row["ItemName"], quantity, int(price))
