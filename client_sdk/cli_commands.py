"""The SDK's part of the command line: `yabam tail`, `order`, `state` and `replay`."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from client_sdk.cli import lamp_of, printable
from client_sdk.client.async_client import OrderClient
from client_sdk.client.cursor_stores import FileCursors
from client_sdk.client.producer import OrderProducer
from client_sdk.contract.order import Guest, Item, Order, OrderEvent
from client_sdk.errors import ClientError, RefusedError
from client_sdk.machine.sequencing import Change
from client_sdk.replay.plan import ReplaySpeed
from client_sdk.replay.runner import replay_file
from client_sdk.state_commands import register_order_history, register_state

_DEFAULT_CORE: Final = "http://127.0.0.1:8000"
_ITEM: Final = re.compile(r"(?P<name>.+):(?P<quantity>[0-9]+):(?P<price>[0-9]+)")


def register(subparsers: Any) -> None:
    """Add the SDK's commands."""
    _register_tail(subparsers.add_parser("tail", help="follow a store or a table"))
    _register_order(subparsers.add_parser("order", help="place an order, or step one"))
    _register_state(subparsers.add_parser("state", help="show and change shared documents"))
    _register_replay(subparsers.add_parser("replay", help="replay real orders from a CSV file"))


def _register_tail(parser: argparse.ArgumentParser) -> None:
    _add_connection(parser)
    parser.add_argument("--store", action="append", default=[], metavar="STORE")
    parser.add_argument("--table", action="append", default=[], metavar="STORE/TABLE")
    parser.add_argument("--cursor", type=Path, help="a file to keep the cursor in")
    parser.set_defaults(run=lambda options: _run(_tail(options)))


def _register_order(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    place = actions.add_parser("place", help="place an order")
    _add_connection(place)
    place.add_argument("--store", required=True)
    place.add_argument("--table")
    place.add_argument("--item", action="append", required=True, metavar="NAME:QUANTITY:PRICE")
    place.add_argument("--currency", default="KRW", help="ISO 4217 (default KRW)")
    place.add_argument("--note", default="")
    place.add_argument("--guest", help="the guest's name")
    place.set_defaults(run=lambda options: _run(_place(options)))
    step = actions.add_parser("step", help="take an order one step further")
    _add_connection(step)
    step.add_argument("id")
    step.add_argument("to", help="accepted, rejected, preparing, ready, served, paid or cancelled")
    step.add_argument("--reason")
    step.set_defaults(run=lambda options: _run(_step(options)))
    show = actions.add_parser("show", help="show an order")
    _add_connection(show)
    show.add_argument("id")
    show.set_defaults(run=lambda options: _run(_show(options)))
    register_order_history(actions, _add_connection, _run, _token)


def _register_state(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    register_state(actions, _add_connection, _run, _token)


def _register_replay(parser: argparse.ArgumentParser) -> None:
    _add_connection(parser)
    parser.add_argument("path", type=Path, help="a CSV file of orders, perhaps gzipped")
    parser.add_argument("--stores", type=int, default=20, help="spread over so many (default 20)")
    parser.add_argument("--tables", type=int, default=10, help="tables per store (default 10)")
    parser.add_argument(
        "--speed-up", default="3600", help="how many times faster than life, or max (default 3600)"
    )
    parser.add_argument("--limit", type=int, help="only the first so many orders")
    parser.add_argument("--seed", type=int, default=1, help="of stores, tables and lives")
    parser.add_argument("--concurrency", type=int, default=32, help="orders under way at once")
    parser.set_defaults(run=lambda options: _run(_replay(options)))


def _add_connection(parser: argparse.ArgumentParser) -> None:
    core = os.environ.get("YABAM_CORE_URL", _DEFAULT_CORE)
    parser.add_argument("--core", default=core, help=f"Core's address (default {core})")
    parser.add_argument("--token", help="an access token (default: the variable YABAM_TOKEN)")


def _run(work: Any) -> int:
    try:
        asyncio.run(work)
    except RefusedError as error:
        if (order := error.order) is None:
            raise
        stands = f"{order.status}, version {order.version}: {summary_of(order)}"
        raise ClientError(f"{error}\nThe order as it stands: {stands}") from error
    return 0


async def _tail(options: argparse.Namespace) -> None:
    channels = [f"store:{s}" for s in options.store] + [f"table:{t}" for t in options.table]
    if not channels:
        raise ClientError("say what to follow: --store 12 or --table 12/5")
    cursors = FileCursors(options.cursor) if options.cursor else None
    async with OrderClient(options.core, _token(options), channels, cursors=cursors) as client:
        lamp = asyncio.create_task(_show_lamp(client))
        try:
            async for change in client.events():
                print(line_of(change), flush=True)
        finally:
            lamp.cancel()


async def _show_lamp(client: OrderClient) -> None:
    shown = ""
    async for status in client.statuses():
        if (line := lamp_of(status)) != shown:
            shown = line
            print(f"● {line}", file=sys.stderr, flush=True)


async def _place(options: argparse.Namespace) -> None:
    async with OrderProducer(options.core, _token(options)) as producer:
        order = await producer.place(
            options.store,
            [_item(text) for text in options.item],
            currency=options.currency,
            table_id=options.table,
            note=options.note,
            guest=Guest(name=options.guest) if options.guest else None,
        )
    print(f"placed {summary_of(order)}")


async def _step(options: argparse.Namespace) -> None:
    async with OrderProducer(options.core, _token(options)) as producer:
        order = await producer.transition(options.id, options.to, reason=options.reason)
    print(f"{order.status} {summary_of(order)}")


async def _show(options: argparse.Namespace) -> None:
    async with OrderProducer(options.core, _token(options)) as producer:
        print(summary_of(await producer.get(options.id)))


async def _replay(options: argparse.Namespace) -> None:
    pace = ReplaySpeed.parse(options.speed_up)
    async with OrderProducer(options.core, _token(options)) as producer:
        summary = await replay_file(
            options.path,
            producer,
            stores=options.stores,
            tables=options.tables,
            pace=pace,
            limit=options.limit,
            seed=options.seed,
            concurrency=options.concurrency,
            progress=lambda line: print(f"\r{line}", end="", file=sys.stderr, flush=True),
        )
    print(f"\n{summary}")


def line_of(change: Change) -> str:
    """One change as one readable line; what a guest wrote cannot break it."""
    if isinstance(change, OrderEvent):
        return f"{change.id}  {change.type:<16} {summary_of(change.data)}"
    orders = f"{len(change.orders)} open orders"
    return f"{change.channel}@{change.head}  reset            {change.reason}, {orders}"


def summary_of(order: Order) -> str:
    """An order in a few words."""
    items = ", ".join(f"{item.quantity}× {item.name}" for item in order.items[:4])
    more = f" and {len(order.items) - 4} more" if len(order.items) > 4 else ""
    where = f"table {order.table_id}" if order.table_id else "counter"
    note = f"  “{order.note}”" if order.note else ""
    text = f"{order.id}  {where}  {items}{more}  {order.total} {order.currency}{note}"
    return printable(text)


def _item(text: str) -> Item:
    match = _ITEM.fullmatch(text)
    if match is None:
        raise ClientError(f"{text!r} is not an item: write NAME:QUANTITY:PRICE in minor units")
    return Item(match["name"], int(match["quantity"]), int(match["price"]))


def _token(options: argparse.Namespace) -> str:
    token = options.token or os.environ.get("YABAM_TOKEN")
    if not token:
        raise ClientError("give an access token: --token, or the variable YABAM_TOKEN")
    return str(token)
