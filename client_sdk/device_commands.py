"""`yabam device …`: a store's devices from the command line."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from client_sdk.client.http_bodies import no_cookies
from client_sdk.contract.channel import Channel, parse_channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.json_decoding import decode
from client_sdk.errors import ClientError
from client_sdk.shared.edits_api import EditsApi
from client_sdk.shared.yabam_client import YabamClient

Connect = Callable[[argparse.ArgumentParser], None]
Run = Callable[[Awaitable[None]], int]
TokenOf = Callable[[argparse.Namespace], str]
Work = Callable[[argparse.Namespace, str], Awaitable[None]]

_LOOK_EVERY_S: Final = 0.2
_value: Final = msgspec.json.Decoder(dict[str, Any])


def register_device(actions: Any, connect: Connect, run: Run, token_of: TokenOf) -> None:
    """Add the actions of `yabam device`.

    Args:
        actions: where to add them.
        connect: adds the options of a connection.
        run: runs one.
        token_of: gives the access token of the options.
    """

    def action(name: str, told: str, work: Work, place: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=told)
        connect(parser)
        parser.add_argument("place", metavar=place)
        parser.set_defaults(run=lambda options: run(work(options, token_of(options))))
        return parser

    one = "STORE/DEVICE"
    action("list", "show the devices of a store", _list, "STORE")
    register = action("register", "register one; its password is shown once", _register, one)
    register.add_argument("--rotate", action="store_true", help="give it another password")
    register.add_argument("--table", help="the table whose bell it rings")
    register.add_argument("--media", action="append", help="a media type that it prints")
    action("remove", "end a registration", _remove, one)
    command = action("command", "ask one to do something, and wait for its word", _command, one)
    command.add_argument("name")
    command.add_argument("arguments", nargs="?", default="{}", help="a JSON object")
    command.add_argument("--id", help="by which a repeat is known (default: a new one)")
    command.add_argument(
        "--expires", type=int, default=60, help="seconds that it may take (default 60)"
    )
    command.add_argument("--no-wait", action="store_true", help="do not wait for its word")
    action("watch", "show what it says and is told, on and on", _watch, one)


async def _list(options: argparse.Namespace, token: str) -> None:
    async with _core(options) as api:
        answer = await api.read(f"/v1/stores/{quote(options.place, '')}/devices", {}, token)
    for device in answer.get("registered", []):
        print(_text(device))


async def _register(options: argparse.Namespace, token: str) -> None:
    body: dict[str, Any] = {"rotate": options.rotate}
    if options.table is not None:
        body["table"] = options.table
    if options.media is not None:
        body["media"] = options.media
    async with _core(options) as api:
        print(_text(await api.request("PUT", _path(options), token, body)))


async def _remove(options: argparse.Namespace, token: str) -> None:
    async with _core(options) as api:
        await api.request("DELETE", _path(options), token)
    print(f"removed {options.place}")


async def _command(options: argparse.Namespace, token: str) -> None:
    body = {
        "name": options.name,
        "arguments": _object(options.arguments),
        "expires_in_s": options.expires,
    }
    if options.id is not None:
        body["id"] = options.id
    path = f"{_path(options)}/commands"
    async with _core(options) as api:
        command = await api.request("POST", path, token, body)
        while command.get("state") == "sent" and not options.no_wait:
            await asyncio.sleep(_LOOK_EVERY_S)
            listed = (await api.read(path, {}, token)).get("commands", [])
            command = next((one for one in listed if one.get("id") == command["id"]), command)
    print(_text(command))
    if command.get("state") in ("failed", "expired"):
        raise ClientError(f"the command has {command['state']}: {command.get('detail') or '-'}")


async def _watch(options: argparse.Namespace, token: str) -> None:
    channel = str(_device(options))
    shown: dict[str, int] = {}
    async with YabamClient(options.core, token, [channel]) as client:
        while client.status.mode != "failed":
            documents = client.state(channel)
            for key in documents.keys:
                if shown.get(key) != (version := documents[key].version):
                    shown[key] = version
                    print(f"{key}@{version} {_text(documents[key].value)}", flush=True)
            await asyncio.sleep(_LOOK_EVERY_S)
        raise ClientError(client.status.last_error or "the client failed")


@asynccontextmanager
async def _core(options: argparse.Namespace) -> AsyncIterator[EditsApi]:
    """Core's doors, for the time of one command."""
    async with httpx.AsyncClient(base_url=options.core, cookies=no_cookies()) as http:
        yield EditsApi(http)


def _device(options: argparse.Namespace) -> Channel:
    try:
        return parse_channel(f"device:{options.place}")
    except ChannelError as error:
        raise ClientError(f"{options.place[:80]!r} is no device: write STORE/DEVICE") from error


def _path(options: argparse.Namespace) -> str:
    channel = _device(options)
    return f"/v1/stores/{channel.root}/devices/{channel.part}"


def _object(text: str) -> dict[str, Any]:
    try:
        return decode(_value, text)
    except msgspec.DecodeError as error:
        raise ClientError(f"{text[:80]!r} is no JSON object: {error}") from error


def _text(value: Any) -> str:
    """JSON on one line; nothing in it moves a terminal's cursor."""
    text = canonical(value).decode()
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
