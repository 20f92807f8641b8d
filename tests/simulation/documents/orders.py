"""A model of Core for orders, beside the documents: the real rules; each key is applied once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import msgspec

from client_sdk.contract.order import Order
from client_sdk.contract.problem import Problem, decode_problem, encode_problem, problem
from client_sdk.shared_state.edits_api import Done, NotTaken
from client_sdk.state.orders.commands import CommandRequest
from core_api.errors import ImpossibleTransitionError, StaleVersionError
from core_api.orders.channel_entries import Views
from core_api.orders.lifecycle import (
    ChangeOrder,
    OrderChange,
    PlaceOrder,
    Seen,
    Transition,
    change,
    check_seen,
    place,
    transition,
)
from tests.simulation.core import ChannelLog
from tests.simulation.documents.definitions import STORE

ORDERS: Final = f"store:{STORE}"
"""The channel of the orders that the devices place and change."""


@dataclass
class Orders:
    """All data of orders, which a backup contains."""

    all: dict[str, Order] = field(default_factory=dict)
    channels: dict[str, ChannelLog] = field(default_factory=dict)
    views: dict[str, Views] = field(default_factory=dict)
    answers: dict[str, Order] = field(default_factory=dict)
    """The answer to each command, by the command's key."""

    def copy(self) -> Orders:
        """An independent copy; the values in it are immutable."""
        return replace(
            self,
            all=dict(self.all),
            channels={name: log.copy() for name, log in self.channels.items()},
            views=dict(self.views),
            answers=dict(self.answers),
        )


def decide(
    orders: Orders, request: CommandRequest, new_id: str, by: str, now: datetime
) -> OrderChange | NotTaken:
    """What the command changes, or why it is refused."""
    if request.path == "/v1/orders":
        command = msgspec.json.decode(request.body, type=PlaceOrder)
        return place(command, order_id=new_id, placed_by=by, now=now)
    order = orders.all.get(request.path.split("/")[3])
    if order is None:
        return _refusal("not-found")
    try:
        check_seen(order, Seen(request.version, request.updated_at))
        if request.method == "PATCH":
            return change(order, msgspec.json.decode(request.body, type=ChangeOrder), now=now)
        step = msgspec.json.decode(request.body, type=Transition)
        return transition(order, step, now=now)
    except (ImpossibleTransitionError, StaleVersionError) as refused:
        return _refusal(refused.slug, order)


def heard(done: Order, *, repeated: bool) -> Done:
    """Core's answer, as the client decodes it."""
    return Done(msgspec.json.decode(msgspec.json.encode(done), type=Order), repeated)


def _refusal(slug: str, order: Order | None = None) -> NotTaken:
    raw = None if order is None else msgspec.json.encode(order)
    told: Problem | None = decode_problem(encode_problem(problem(slug, f"no: {slug}", order=raw)))
    assert told is not None
    return NotTaken(told)
