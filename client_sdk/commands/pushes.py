"""`yabam push …`: which devices of a store are told of orders while they are locked."""

from __future__ import annotations

from argparse import Namespace
from urllib.parse import quote

from client_sdk.command_line.output import json_line, say
from client_sdk.commands.connection import core_of, token_of
from client_sdk.contract.errors import UsageError


async def list_all(options: Namespace) -> None:
    """Show the devices of a store that are told."""
    token = token_of(options)
    async with core_of(options) as api:
        answer = await api.read(_path(options.place), {}, token)
    for push in answer.get("pushes", []):
        say(options, json_line(push), push)


async def remove(options: Namespace) -> None:
    """Tell a device nothing any more.

    Raises:
        UsageError: it is not STORE/NAME.
    """
    store, _, device = options.place.partition("/")
    if not store or not device:
        raise UsageError(f"{options.place[:80]!r} is no device: write STORE/NAME")
    token = token_of(options)
    async with core_of(options) as api:
        await api.request("DELETE", f"{_path(store)}/{quote(device, '')}", token)
    say(options, f"removed {options.place}", {"removed": options.place})


def _path(store: str) -> str:
    return f"/v1/stores/{quote(store, '')}/pushes"
