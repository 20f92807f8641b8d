"""`yabam webhook …`: the URLs that a store's events are sent to."""

from __future__ import annotations

from argparse import Namespace
from urllib.parse import quote

from client_sdk.commands.connection import remove_one, show_all, show_answer

_PATH = "/v1/webhooks"


async def add(options: Namespace) -> None:
    """Register a URL; its secret is shown only now."""
    body = {"url": options.url, "stores": options.store, "types": options.type}
    await show_answer(options, "POST", _PATH, body)


async def list_all(options: Namespace) -> None:
    """Show the webhooks of the caller's stores."""
    await show_all(options, _PATH, "webhooks")


async def show(options: Namespace) -> None:
    """Show each store's delivery position for a webhook."""
    await show_answer(options, "GET", _of_one(options))


async def rotate(options: Namespace) -> None:
    """Give a webhook another secret; it is shown only now."""
    ends_old = "?end_old=true" if options.end_old else ""
    await show_answer(options, "POST", f"{_of_one(options)}/secrets{ends_old}")


async def replay(options: Namespace) -> None:
    """Send the events after a cursor again."""
    await show_answer(options, "POST", f"{_of_one(options)}/replays", {"cursor": options.cursor})


async def resume(options: Namespace) -> None:
    """Resume a webhook."""
    await show_answer(options, "PUT", f"{_of_one(options)}/state", {"state": "active"})


async def disable(options: Namespace) -> None:
    """Disable a webhook."""
    await show_answer(options, "PUT", f"{_of_one(options)}/state", {"state": "disabled"})


async def remove(options: Namespace) -> None:
    """Remove a webhook."""
    await remove_one(options, _of_one(options), options.id)


def _of_one(options: Namespace) -> str:
    return f"{_PATH}/{quote(options.id, '')}"
