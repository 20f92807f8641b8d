"""`yabam push …`: which devices of a store are told of orders while they are locked.

Its owner's, and with `--guests` its guests'.
"""

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
        answer = await api.read(_path(options.place, guests=options.guests), {}, token)
    for push in answer.get("pushes", []):
        say(options, json_line(push), push)


async def remove(options: Namespace) -> None:
    """Tell a device, or a guest's phone, nothing any more.

    Raises:
        UsageError: it is not STORE/NAME, and not STORE/TABLE/NAME either.
    """
    store, *names = options.place.split("/")
    if not store or len(names) not in (1, 2) or not all(names):
        raise UsageError(
            f"{options.place[:80]!r} is no device: write STORE/NAME, of a guest STORE/TABLE/NAME"
        )
    token = token_of(options)
    path = "/".join((_path(store, guests=len(names) == 2), *(quote(name, "") for name in names)))
    async with core_of(options) as api:
        await api.request("DELETE", path, token)
    say(options, f"removed {options.place}", {"removed": options.place})


def _path(store: str, *, guests: bool) -> str:
    return f"/v1/stores/{quote(store, '')}/{'guest-pushes' if guests else 'pushes'}"
