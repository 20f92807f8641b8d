"""`yabam push …`: which devices of a store are told of orders while they are locked.

Its owner's, and with `--guests` its guests'.
"""

from __future__ import annotations

from argparse import Namespace
from urllib.parse import quote

from client_sdk.commands.connection import remove_one, show_all
from client_sdk.contract.errors import UsageError


async def list_all(options: Namespace) -> None:
    """Show the devices of a store that are told."""
    await show_all(options, _path(options.place, guests=options.guests), "pushes")


async def remove(options: Namespace) -> None:
    """Tell a device, or a guest's phone, nothing any more.

    Raises:
        UsageError: it is not STORE/NAME, and not STORE/TABLE/NAME either.
    """
    store, *names = options.place.split("/")
    if not store or len(names) not in (1, 2) or not all(names):
        raise UsageError(
            f"{options.place[:80]!r} is not a device: write STORE/NAME, of a guest STORE/TABLE/NAME"
        )
    path = "/".join((_path(store, guests=len(names) == 2), *(quote(name, "") for name in names)))
    await remove_one(options, path, options.place)


def _path(store: str, *, guests: bool) -> str:
    return f"/v1/stores/{quote(store, '')}/{'guest-pushes' if guests else 'pushes'}"
