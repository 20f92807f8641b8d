"""A small Core for orders in tests, with Core's own rules. It stores one answer for each key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from client_sdk.contract.digest import format_digest, order_hash
from client_sdk.contract.order import Order
from client_sdk.contract.problem import encode_problem, problem
from client_sdk.contract.text import time_text
from core_api.errors import ImpossibleTransitionError, InvalidError
from core_api.orders.lifecycle import (
    ChangeOrder,
    OrderChange,
    PlaceOrder,
    Transition,
    change,
    place,
    transition,
)

Asked = tuple[str | None, str | None]
"""If-Match, and Yabam-If-Updated-At."""
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def order_id(number: int) -> str:
    """The id of the n-th order."""
    return f"00000000-0000-0000-0000-{number:012d}"


class OrderCore:
    """Core as a sender of commands sees it."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.log: list[OrderChange] = []
        """All changes, in order."""
        self.asked: list[tuple[str, str, str, Asked]] = []
        """Each request: method, path, key, and the version seen."""
        self._kept: dict[str, tuple[int, bytes]] = {}
        self.sold_out: set[str] = set()
        self.repeats = 0
        """How many answers repeated that of an earlier try."""

    @property
    def now(self) -> datetime:
        """Core's time: one second for each change."""
        return NOW + timedelta(seconds=len(self.log))

    def ask(self, method: str, path: str, key: str, seen: Asked, body: bytes) -> tuple[int, bytes]:
        """Answer one request. Returns status and body."""
        self.asked.append((method, path, key, seen))
        if key in self._kept:
            self.repeats += 1
            return self._kept[key]
        status, answer = self._decided(method, path, seen, body)
        if status < 400:
            self._kept[key] = status, answer
        return status, answer

    def do(self, number: int, body: dict[str, Any]) -> Order:
        """Make another person's step or change of the n-th order."""
        order = self.orders[order_id(number)]
        return self._take(_change_of(order, json.dumps(body).encode(), self.now))

    def restored(self, number: int, body: dict[str, Any]) -> Order:
        """Replace the n-th order's last version by another change, as after a restore."""
        order = self.orders[order_id(number)]
        changed = self.do(number, body)
        self.orders[order.id] = replace(changed, version=order.version)
        return self.orders[order.id]

    def placed(self, store_id: str = "1", table_id: str | None = "5") -> Order:
        """Place an order as another person."""
        items = [{"name": "Tea", "quantity": 1, "unit_price": 100}]
        body = {"store_id": store_id, "table_id": table_id, "currency": "KRW", "items": items}
        return self._place(json.dumps(body).encode())

    def event(self, seq: int, channel: str = "store:1") -> dict[str, Any]:
        """The event of the n-th change."""
        done = self.log[seq - 1]
        order = json.loads(msgspec.json.encode(done.after))
        return {
            "id": f"{channel}@{seq}",
            "seq": seq,
            "type": done.type,
            "occurred_at": order["updated_at"],
            "order_id": order["id"],
            "order_version": order["version"],
            "data": order,
        }

    def sync(self, channel: str, after: int | None) -> dict[str, Any]:
        """A channel's part of an answer of Fetch Sync."""
        orders = [order for order in self.orders.values() if order.is_open]
        digest = 0
        for order in orders:
            digest ^= order_hash(order.id, order.version)
        head, is_first = len(self.log), after is None
        events = [self.event(seq, channel) for seq in range((after or 0) + 1, head + 1)]
        shown = [json.loads(msgspec.json.encode(order)) for order in orders]
        return {
            "channel": channel,
            "head": head,
            "digest": format_digest(digest),
            "content_digest": None,
            "reset": "first_sync" if is_first else None,
            "events": [] if is_first else events,
            "snapshot": {"head": head, "orders": shown, "next": None} if is_first else None,
            "has_more": False,
        }

    def _decided(self, method: str, path: str, seen: Asked, body: bytes) -> tuple[int, bytes]:
        if method == "POST" and path == "/v1/orders":
            names = {item["name"] for item in json.loads(body)["items"]}
            if names & self.sold_out:
                return _refusal("sold-out")
            return 201, msgspec.json.encode(self._place(body))
        order = self.orders.get(path.split("/")[3])
        if order is None:
            return _refusal("not-found")
        version, updated_at = f'"{order.version}"', time_text(order.updated_at)
        if seen[0] not in (None, version) or seen[1] not in (None, updated_at):
            return _refusal("stale-version", order)
        try:
            return 200, msgspec.json.encode(self._take(_change_of(order, body, self.now)))
        except ImpossibleTransitionError:
            return _refusal("impossible-transition", order)
        except InvalidError:
            return _refusal("invalid")

    def _place(self, body: bytes) -> Order:
        command = msgspec.json.decode(body, type=PlaceOrder)
        number = order_id(len(self.orders) + 1)
        return self._take(place(command, order_id=number, placed_by="x", now=self.now))

    def _take(self, done: OrderChange) -> Order:
        self.log.append(done)
        self.orders[done.after.id] = done.after
        return done.after


def _change_of(order: Order, body: bytes, now: datetime) -> OrderChange:
    if b'"to"' in body:
        return transition(order, msgspec.json.decode(body, type=Transition), now=now)
    return change(order, msgspec.json.decode(body, type=ChangeOrder), now=now)


def _refusal(slug: str, order: Order | None = None) -> tuple[int, bytes]:
    raw = None if order is None else msgspec.json.encode(order)
    told = problem(slug, f"no: {slug}", order=raw)
    return told.status, encode_problem(told)
