"""`yabam order …`: orders, one at a time."""

from __future__ import annotations

import re
from argparse import Namespace
from datetime import datetime
from typing import Final

from client_sdk.command_line.output import json_line, say
from client_sdk.commands.connection import core_of, producer_of
from client_sdk.commands.texts import summary_of, whole
from client_sdk.contract.errors import UsageError
from client_sdk.contract.order import Guest, Item

_ITEM: Final = re.compile(r"(?P<name>.+):(?P<quantity>[0-9]+):(?P<price>[0-9]+)")


async def place(options: Namespace) -> None:
    """Place an order.

    Raises:
        UsageError: an item is malformed, or there is no token or no such host.
        ClientError: Core refuses it, or cannot be reached.
    """
    items = [_item(text) for text in options.item]
    async with producer_of(options) as producer:
        order = await producer.place(
            options.store,
            items,
            currency=options.currency,
            table_id=options.table,
            note=options.note,
            guest=Guest(name=options.guest) if options.guest else None,
        )
    say(options, f"{order.status} {summary_of(order)}", order)


async def step(options: Namespace) -> None:
    """Move an order to another status."""
    async with producer_of(options) as producer:
        order = await producer.transition(options.id, options.to, reason=options.reason)
    say(options, f"{order.status} {summary_of(order)}", order)


async def show(options: Namespace) -> None:
    """Show an order in full."""
    async with producer_of(options) as producer:
        order = await producer.get(options.id)
    say(options, whole(order, datetime.now().astimezone()), order)


async def history(options: Namespace) -> None:
    """Print the events of an order, each as JSON."""
    async with core_of(options) as (api, token):
        path, after, has_more = f"/v1/orders/{options.id}/events", options.after, True
        while has_more:
            answer = await api.read(path, {"after": str(after)}, token)
            for event in answer.get("events", []):
                say(options, json_line(event), event)
                after = event["version"]
            has_more = bool(answer.get("events")) and answer.get("has_more", False)


def _item(text: str) -> Item:
    match = _ITEM.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an item: write NAME:QUANTITY:PRICE in minor units")
    return Item(match["name"], int(match["quantity"]), int(match["price"]))
