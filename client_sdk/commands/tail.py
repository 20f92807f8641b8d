"""`yabam tail` and `yabam order list`: the changes and open orders of channels."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from datetime import datetime

from client_sdk.client.async_client import OrderClient
from client_sdk.client.cursor_stores import FileCursors
from client_sdk.command_line.output import say
from client_sdk.commands.connection import (
    check_host,
    show_lamp,
    token_of,
    told_to_wait,
    while_read,
)
from client_sdk.commands.texts import line_of, standing
from client_sdk.contract.errors import UsageError
from client_sdk.errors import ClientError
from client_sdk.machine.sequencing import Reset
from client_sdk.supervision import beside


async def tail(options: Namespace) -> None:
    """Print every change until Ctrl-C, or until stdout is closed.

    Raises:
        UsageError, ClientError: the options are wrong, or the client failed.
    """
    cursors = FileCursors(options.cursor) if options.cursor else None
    channels, token = _channels(options), token_of(options)
    await check_host(options)
    async with (
        OrderClient(options.core, token, channels, cursors=cursors) as client,
        beside("lamp", show_lamp(client.statuses())),
    ):
        await while_read(_print_changes(client, options))


async def list_open(options: Namespace) -> None:
    """Print the open orders, the oldest first.

    Raises:
        UsageError, ClientError: the options are wrong, or the client failed.
    """
    channels, token = _channels(options), token_of(options)
    await check_host(options)
    async with OrderClient(options.core, token, channels) as client:
        try:
            async with (
                asyncio.timeout(options.wait),
                told_to_wait(lambda: client.status.last_error),
            ):
                await _all_known(client, set(channels))
        except TimeoutError:
            why = client.status.last_error or f"nothing for {options.wait:g} s"
            raise ClientError(f"Core has not answered: {why}") from None
        now = datetime.now().astimezone()
        for order in sorted(client.orders, key=lambda order: order.created_at):
            if not options.status or order.status in options.status:
                say(options, standing(order, now), order)


async def _print_changes(client: OrderClient, options: Namespace) -> None:
    async for change in client.events():
        say(options, line_of(change, datetime.now().astimezone()), change)


async def _all_known(client: OrderClient, unknown: set[str]) -> None:
    async with contextlib.aclosing(client.events()) as changes:
        async for change in changes:
            if isinstance(change, Reset):
                unknown.discard(change.channel)
            if not unknown:
                return


def _channels(options: Namespace) -> list[str]:
    channels = [f"store:{s}" for s in options.store] + [f"table:{t}" for t in options.table]
    if not channels:
        raise UsageError("name a store or a table: --store 12 or --table 12/5")
    return channels
