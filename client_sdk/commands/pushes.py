"""`yabam push …`: the Web Push subscriptions of a store's devices.

The owner's devices, and with `--guests` the guests' phones.
"""

from __future__ import annotations

from argparse import Namespace
from urllib.parse import quote

from client_sdk.commands.connection import remove_one, show_all
from client_sdk.contract.errors import UsageError


async def list_all(options: Namespace) -> None:
    """Show the devices of a store that have a subscription."""
    await show_all(options, _path(options.place, guests=options.guests), "pushes")


async def remove(options: Namespace) -> None:
    """Remove the subscription of a device or a guest's phone.

    Raises:
        UsageError: the argument is neither STORE/NAME nor STORE/TABLE/NAME.
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
