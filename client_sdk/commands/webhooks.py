"""`yabam webhook …`: where what happens in stores is sent to."""

from __future__ import annotations

from argparse import Namespace
from typing import Any
from urllib.parse import quote

from client_sdk.command_line.output import json_line, say
from client_sdk.commands.connection import core_of, token_of

_PATH = "/v1/webhooks"


async def add(options: Namespace) -> None:
    """Register a URL; its secret is shown this once."""
    body = {"url": options.url, "stores": options.store, "types": options.type}
    await _ask(options, "POST", _PATH, body)


async def list_all(options: Namespace) -> None:
    """Show the webhooks of the caller's stores."""
    token = token_of(options)
    async with core_of(options) as api:
        answer = await api.read(_PATH, {}, token)
    for webhook in answer.get("webhooks", []):
        say(options, json_line(webhook), webhook)


async def show(options: Namespace) -> None:
    """Show how far each store of a webhook is."""
    token = token_of(options)
    async with core_of(options) as api:
        webhook = await api.read(_of_one(options), {}, token)
    say(options, json_line(webhook), webhook)


async def rotate(options: Namespace) -> None:
    """Give a webhook another secret; it is shown this once."""
    ends_old = "?end_old=true" if options.end_old else ""
    await _ask(options, "POST", f"{_of_one(options)}/secrets{ends_old}")


async def replay(options: Namespace) -> None:
    """Send again what comes behind a cursor."""
    await _ask(options, "POST", f"{_of_one(options)}/replays", {"cursor": options.cursor})


async def resume(options: Namespace) -> None:
    """Let a webhook go on."""
    await _ask(options, "PUT", f"{_of_one(options)}/state", {"state": "active"})


async def disable(options: Namespace) -> None:
    """Let a webhook send nothing."""
    await _ask(options, "PUT", f"{_of_one(options)}/state", {"state": "disabled"})


async def remove(options: Namespace) -> None:
    """Remove a webhook."""
    token = token_of(options)
    async with core_of(options) as api:
        await api.request("DELETE", _of_one(options), token)
    say(options, f"removed {options.id}", {"removed": options.id})


async def _ask(
    options: Namespace, method: str, path: str, body: dict[str, Any] | None = None
) -> None:
    token = token_of(options)
    async with core_of(options) as api:
        answer = await api.request(method, path, token, body)
    say(options, json_line(answer), answer)


def _of_one(options: Namespace) -> str:
    return f"{_PATH}/{quote(options.id, '')}"
