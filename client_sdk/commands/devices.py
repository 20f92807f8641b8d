"""`yabam device …`: a store's devices from the command line."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import Any, Final
from urllib.parse import quote

from client_sdk.command_line.output import json_line, say
from client_sdk.commands.connection import (
    core_of,
    remove_one,
    show_all,
    show_answer,
    token_of,
)
from client_sdk.commands.state import object_of
from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.errors import ChannelError, UsageError
from client_sdk.errors import ClientError
from client_sdk.shared_state.yabam_client import YabamClient

_LOOK_EVERY_S: Final = 0.2


async def list_all(options: Namespace) -> None:
    """Show the devices of a store."""
    await show_all(options, f"/v1/stores/{quote(options.place, '')}/devices", "registered")


async def register(options: Namespace) -> None:
    """Register a device, or give it another password.

    Raises:
        UsageError: an argument is malformed, or there is no token or no such host.
        ClientError: Core refuses it, or cannot be reached.
    """
    body: dict[str, Any] = {"rotate": options.rotate}
    if options.table is not None:
        body["table"] = options.table
    if options.media is not None:
        body["media"] = options.media
    await show_answer(options, "PUT", _path(options), body)


async def remove(options: Namespace) -> None:
    """End a registration.

    Raises:
        UsageError: an argument is malformed, or there is no token or no such host.
        ClientError: Core refuses it, or cannot be reached.
    """
    await remove_one(options, _path(options), options.place)


async def command(options: Namespace) -> None:
    """Send a command to a device, and wait for its answer.

    Raises:
        ClientError: it failed, or the device did not answer in time.
        UsageError: an argument is malformed, or there is no token or no such host.
    """
    body = {
        "name": options.name,
        "arguments": object_of(options.arguments),
        "expires_in_s": options.expires,
    }
    if options.id is not None:
        body["id"] = options.id
    path = f"{_path(options)}/commands"
    async with core_of(options) as (api, token):
        asked = await api.request("POST", path, token, body)
        while asked.get("state") == "sent" and not options.no_wait:
            await asyncio.sleep(_LOOK_EVERY_S)
            listed = (await api.read(path, {}, token)).get("commands", [])
            asked = next((one for one in listed if one.get("id") == asked["id"]), asked)
    say(options, json_line(asked), asked)
    if asked.get("state") in ("failed", "expired"):
        raise ClientError(f"the command has {asked['state']}: {asked.get('detail') or '-'}")


async def watch(options: Namespace) -> None:
    """Show the documents of a device whenever they change.

    Raises:
        ClientError: the client failed.
        UsageError: there is no token, or the argument is not a device.
    """
    token = token_of(options)
    channel = str(_device(options))
    shown: dict[str, int] = {}
    async with YabamClient(options.core, token, [channel]) as client:
        while client.status.mode != "failed":
            documents = client.state(channel)
            for key in documents.keys:
                if shown.get(key) != (version := documents[key].version):
                    shown[key] = version
                    value = documents[key].value
                    text = f"{key}@{version} {json_line(value)}"
                    say(options, text, {"key": key, "version": version, "value": value})
            await asyncio.sleep(_LOOK_EVERY_S)
        raise ClientError(client.status.last_error or "the client failed")


def _device(options: Namespace) -> Channel:
    try:
        return parse_channel(f"device:{options.place}")
    except ChannelError as error:
        raise UsageError(f"{options.place[:80]!r} is not a device: write STORE/DEVICE") from error


def _path(options: Namespace) -> str:
    channel = _device(options)
    return f"/v1/stores/{channel.root}/devices/{channel.part}"
