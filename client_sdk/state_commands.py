"""`yabam state …` and `yabam order history`: documents and histories from the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from client_sdk.cli import lamp_of
from client_sdk.client.http_bodies import no_cookies
from client_sdk.contract.digest import canonical
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.errors import ClientError
from client_sdk.shared.edit_batch import EditHandle
from client_sdk.shared.edits_api import EditsApi
from client_sdk.shared.shared_state import SharedDocument
from client_sdk.shared.yabam_client import YabamClient
from client_sdk.state.store import SqliteState

Connect = Callable[[argparse.ArgumentParser], None]
Run = Callable[[Awaitable[None]], int]
TokenOf = Callable[[argparse.Namespace], str]

_value: Final = msgspec.json.Decoder(dict[str, Any])
_snapshot: Final = msgspec.json.Decoder(dict[str, dict[str, dict[str, Any]]])


def register_state(actions: Any, connect: Connect, run: Run, token_of: TokenOf) -> None:
    """Add the actions of `yabam state`.

    Args:
        actions: where to add them.
        connect: adds the options of a connection.
        run: runs one.
        token_of: gives the access token of the options.
    """

    def action(
        name: str, told: str, work: Callable[[argparse.Namespace, str], Awaitable[None]]
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=told)
        connect(parser)
        parser.add_argument(
            "--wait", type=float, default=10.0, help="seconds to wait for Core (default 10)"
        )
        parser.set_defaults(run=lambda options: run(work(options, token_of(options))))
        return parser

    get = action("get", "show a document, or all of a channel", _get)
    get.add_argument("channel", help="such as public:12, party:12/5, brand:kimbap or global")
    get.add_argument("key", nargs="?")
    for name, told in (("set", "make the whole value this"), ("merge", "change what is named")):
        edit = action(name, f"{told}: JSON", _edit)
        edit.add_argument("channel")
        edit.add_argument("key")
        edit.add_argument("value", help="a JSON object; for merge null takes away (RFC 7396)")
        edit.add_argument("--queue", type=Path, help="a folder where edits wait for a network")
        edit.set_defaults(operation=name)
    watch = action("watch", "show documents whenever they change", _watch)
    watch.add_argument("channel")
    watch.add_argument("key", nargs="+")
    history = action("history", "what happened to a document", _history)
    history.add_argument("channel")
    history.add_argument("key")
    history.add_argument("--after", type=int, default=0, help="only above this version")
    export = action("export", "write the values of channels as JSON", _export)
    export.add_argument("channel", nargs="+")
    restore = action("restore", "make documents what a file says, by edits", _restore)
    restore.add_argument("path", type=Path, help="what `export` wrote")


def register_order_history(actions: Any, connect: Connect, run: Run, token_of: TokenOf) -> None:
    """Add `yabam order history`; the arguments are those of `register_state`."""
    history = actions.add_parser("history", help="what happened to an order")
    connect(history)
    history.add_argument("id")
    history.add_argument("--after", type=int, default=0, help="only above this version")
    history.set_defaults(run=lambda options: run(_order_history(options, token_of(options))))


async def _get(options: argparse.Namespace, token: str) -> None:
    async with YabamClient(options.core, token, [options.channel]) as client:
        channel = client.state(options.channel)
        await _loaded(client, channel[options.key or "any"], options.wait)
        if options.key is not None:
            print(_text(channel[options.key].value))
            return
        for key in channel.keys:
            print(f"{key}@{channel[key].version} {_text(channel[key].value)}")


async def _edit(options: argparse.Namespace, token: str) -> None:
    value = _object(options.value)
    store = None if options.queue is None else SqliteState(options.queue)
    async with YabamClient(options.core, token, [options.channel], state=store) as client:
        document = client.state(options.channel)[options.key]
        try:
            await _loaded(client, document, options.wait)
        except ClientError as error:
            # Without a network it is made on what was known last, and waits.
            if store is None or client.status.mode == "failed":
                raise
            print(f"● offline ({error})", file=sys.stderr)
        edit = await (document.set if options.operation == "set" else document.merge)(value)
        outcome = await _outcome(edit, options.wait)
        if outcome is None and store is None:
            raise ClientError(f"Core has not answered: {client.state.sending_error}")
        if outcome is None:
            print("queued: it is sent by the next command with this --queue that reaches Core")
        else:
            print(_told(outcome, document))


async def _watch(options: argparse.Namespace, token: str) -> None:
    async with YabamClient(options.core, token, [options.channel]) as client:
        for key in options.key:
            document = client.state(options.channel)[key]
            document.subscribe(lambda one: print(_line(one), flush=True))
            if not document.meta.loading:
                print(_line(document), flush=True)
        async for status in client.statuses():
            print(f"● {lamp_of(status)}", file=sys.stderr, flush=True)
        if client.status.mode == "failed":
            raise ClientError(client.status.last_error or "the client failed")


async def _history(options: argparse.Namespace, token: str) -> None:
    async with httpx.AsyncClient(base_url=options.core, cookies=no_cookies()) as http:
        api, after = EditsApi(http), str(options.after)
        more: str | None = after
        while more is not None:
            page = await api.history((options.channel, options.key), more, 100, token)
            for event in page.events:
                print(_text(event))
            more = page.next


async def _order_history(options: argparse.Namespace, token: str) -> None:
    async with httpx.AsyncClient(base_url=options.core, cookies=no_cookies()) as http:
        path = f"/v1/orders/{options.id}/events"
        answer = await EditsApi(http).read(path, {"after": str(options.after)}, token)
        for event in answer.get("events", []):
            print(_text(event))


async def _export(options: argparse.Namespace, token: str) -> None:
    async with YabamClient(options.core, token, options.channel) as client:
        for channel in options.channel:
            await _loaded(client, client.state(channel)["any"], options.wait)
            for key in client.state(channel).keys:
                await _loaded(client, client.state(channel)[key], options.wait)
        print(json.dumps(client.state.export(), ensure_ascii=False, indent=2))


async def _restore(options: argparse.Namespace, token: str) -> None:
    try:
        snapshot = decode(_snapshot, options.path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ClientError(f"{options.path} is nothing that export wrote: {error}") from error
    async with YabamClient(options.core, token, list(snapshot)) as client:
        for channel in snapshot:
            await _loaded(client, client.state(channel)["any"], options.wait)
        refused = 0
        for edit in await client.state.restore(snapshot):
            outcome = await _outcome(edit, options.wait)
            if outcome is None:
                raise ClientError(f"Core has not answered: {client.state.sending_error}")
            refused += outcome.outcome != "applied"
    if refused:
        raise ClientError(f"{refused} documents were not restored")


async def _loaded(client: YabamClient, document: SharedDocument, wait_s: float) -> None:
    """Return once the document's value is known.

    Raises:
        ClientError: it is not within `wait_s` seconds, or the client has failed.
    """
    news = asyncio.Event()
    end = document.subscribe(lambda _: news.set())
    watching = asyncio.create_task(_failed(client, news))
    try:
        async with asyncio.timeout(wait_s):
            while document.meta.loading and client.status.mode != "failed":
                await news.wait()
                news.clear()
    except TimeoutError:
        raise ClientError(f"Core has not answered: {client.status.last_error}") from None
    finally:
        watching.cancel()
        end()
    if client.status.mode == "failed":
        raise ClientError(client.status.last_error or "the client failed")


async def _failed(client: YabamClient, news: asyncio.Event) -> None:
    async for status in client.statuses():
        if status.mode == "failed":
            news.set()


async def _outcome(edit: EditHandle, wait_s: float) -> EditOutcome | None:
    try:
        async with asyncio.timeout(wait_s):
            return await edit.settled()
    except TimeoutError:
        return None


def _told(outcome: EditOutcome, document: SharedDocument) -> str:
    if outcome.outcome == "refused":
        error = document.meta.error
        why = "others have changed the document" if error is None else error.detail
        where = "" if error is None or error.pointer is None else f" at {error.pointer}"
        raise ClientError(f"refused{where}: {why}")
    aside = f", put aside: {', '.join(outcome.aside)}" if outcome.aside else ""
    return f"{outcome.outcome} {document.key}@{outcome.version}{aside}"


def _line(document: SharedDocument) -> str:
    pending = f" +{document.pending} pending" if document.pending else ""
    return f"{document.channel} {document.key}@{document.version}{pending} {_text(document.value)}"


def _object(text: str) -> dict[str, Any]:
    try:
        return decode(_value, text)
    except msgspec.DecodeError as error:
        raise ClientError(f"{text[:80]!r} is no JSON object: {error}") from error


def _text(value: Any) -> str:
    """JSON on one line; nothing in it moves a terminal's cursor."""
    text = canonical(value).decode()
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
