"""`yabam state …`: shared documents and their histories."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from contextlib import suppress
from typing import Any, Final

import msgspec

from client_sdk.command_line.output import json_line, say, tell
from client_sdk.commands.connection import (
    check_host,
    core_of,
    show_lamp,
    token_of,
    told_to_wait,
    while_read,
)
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import UsageError
from client_sdk.contract.json_decoding import reader
from client_sdk.contract.state.edit import EditOutcome
from client_sdk.errors import ClientError, UnreachableError
from client_sdk.shared_state.edit_batch import EditHandle
from client_sdk.shared_state.shared_state import SharedDocument
from client_sdk.shared_state.yabam_client import YabamClient
from client_sdk.state.store import SqliteState
from client_sdk.supervision import beside

_BLIND: Final = (
    "● nothing is known here of this document, so Core takes the edit as made beside all others, "
    "and may put it aside: reach Core once with this --queue before you edit without a network"
)
_value: Final = reader(dict[str, Any])
_snapshot: Final = reader(dict[str, dict[str, dict[str, Any]]])


async def get(options: Namespace) -> None:
    """Show a document, or all of a channel.

    Raises:
        ClientError: no such document is defined.
    """
    token = token_of(options)
    await check_host(options)
    async with YabamClient(options.core, token, [options.channel]) as client:
        channel = client.state(options.channel)
        await loaded(client, channel[options.key or "any"], options.wait)
        if options.key is not None:
            document = channel[options.key]
            if document.value is None and await _is_undefined(client, document):
                raise ClientError(_undefined(document))
            say(options, json_line(document.value), _shown(document))
            return
        for key in channel.keys:
            document = channel[key]
            say(options, f"{key}@{document.version} {json_line(document.value)}", _shown(document))


async def edit(options: Namespace) -> None:
    """Change a document, and print the outcome of the edit.

    Raises:
        UsageError: the value is not a JSON object, or there is no token or no such host.
        ClientError: Core has not answered, or refuses it.
    """
    token, value = token_of(options), object_of(options.value)
    store = None if options.queue is None else SqliteState(options.queue)
    if store is None:
        await check_host(options)  # without a network, no host is known
    async with YabamClient(options.core, token, [options.channel], state=store) as client:
        document = client.state(options.channel)[options.key]
        try:
            await loaded(client, document, options.wait)
        except ClientError as error:
            # Without a network the edit is based on the last known version, and waits.
            if store is None or client.status.mode == "failed":
                raise
            tell(f"● offline ({error})")
        # This queue has never seen the document, so the edit has no base version.
        is_blind = document.meta.loading and not document.version and not document.pending
        edit = await (document.set if options.operation == "set" else document.merge)(value)
        outcome = await outcome_of(client, edit, options.wait)
        if outcome is None and store is None:
            raise ClientError(f"Core has not answered: {client.state.sending_error}")
        if outcome is None:
            told = "queued: the next command with this --queue that reaches Core sends it"
            say(options, told, {"outcome": "queued"} | _shown(document))
            if is_blind:
                tell(_BLIND)
        else:
            told = _told(outcome, document)
            settled = {"outcome": outcome.outcome, "aside": list(outcome.aside)}
            say(options, told, settled | _shown(document) | {"version": outcome.version})


async def watch(options: Namespace) -> None:
    """Print documents whenever they change, until Ctrl-C or until stdout is closed.

    Raises:
        ClientError: the client has failed.
    """
    token = token_of(options)
    await check_host(options)
    async with YabamClient(options.core, token, [options.channel]) as client:
        changed: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        for key in options.key:
            document = client.state(options.channel)[key]
            document.subscribe(lambda one: changed.put_nowait((_line(one), _shown(one))))
            if not document.meta.loading:
                changed.put_nowait((_line(document), _shown(document)))
            with suppress(UnreachableError):
                if await _is_undefined(client, document):
                    tell(f"● {_undefined(document)}")
        async with beside("lamp", _show_lamp(client, changed)):
            await while_read(_print_changes(changed, options))
        raise ClientError(client.status.last_error or "the client failed")


async def history(options: Namespace) -> None:
    """Print the events of a document, each as JSON."""
    async with core_of(options) as (api, token):
        more: str | None = str(options.after)
        while more is not None:
            page = await api.history((options.channel, options.key), more, 100, token)
            for event in page.events:
                say(options, json_line(event), event)
            more = page.next


async def export(options: Namespace) -> None:
    """Print the values of channels in the form that `restore` reads."""
    token = token_of(options)
    await check_host(options)
    async with YabamClient(options.core, token, options.channel) as client:
        for channel in options.channel:
            await loaded(client, client.state(channel)["any"], options.wait)
            for key in client.state(channel).keys:
                await loaded(client, client.state(channel)[key], options.wait)
        snapshot = client.state.export()
        say(options, json.dumps(snapshot, indent=2), snapshot)


async def restore(options: Namespace) -> None:
    """Set documents to the values of a file.

    Raises:
        UsageError: the file was not written by `export`.
        ClientError: Core has refused an edit, or does not answer.
    """
    token = token_of(options)
    try:
        snapshot = _snapshot(options.path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{options.path} is not a file that export wrote: {error}") from error
    await check_host(options)
    async with YabamClient(options.core, token, list(snapshot)) as client:
        for channel in snapshot:
            await loaded(client, client.state(channel)["any"], options.wait)
        restored = refused = 0
        for edit in await client.state.restore(snapshot):
            outcome = await outcome_of(client, edit, options.wait)
            if outcome is None:
                raise ClientError(f"Core has not answered: {client.state.sending_error}")
            refused += outcome.outcome != "applied"
            restored += outcome.outcome == "applied"
    if refused:
        raise ClientError(f"{refused} documents were not restored")
    say(options, f"{restored} documents restored", {"restored": restored})


async def _print_changes(
    changed: asyncio.Queue[tuple[str, dict[str, Any]] | None], options: Namespace
) -> None:
    while (news := await changed.get()) is not None:
        say(options, *news)


async def _show_lamp(client: YabamClient, changed: asyncio.Queue[Any]) -> None:
    await show_lamp(client.statuses())
    changed.put_nowait(None)


async def loaded(client: YabamClient, document: SharedDocument, wait_s: float) -> None:
    """Wait until the document's value is known.

    Args:
        client: the open client that shows the document.
        document: of a channel that the client follows.
        wait_s: how long to wait for Core, in seconds.

    Raises:
        ClientError: it is not known within `wait_s` seconds, or the client has failed.
    """
    news = asyncio.Event()
    end = document.subscribe(lambda _: news.set())
    try:
        async with (
            asyncio.timeout(wait_s),
            beside("watch over the client", _failed(client, news)),
            told_to_wait(lambda: client.status.last_error),
        ):
            while document.meta.loading and client.status.mode != "failed":
                await news.wait()
                news.clear()
    except TimeoutError:
        raise ClientError(f"Core has not answered: {client.status.last_error}") from None
    finally:
        end()
    if client.status.mode == "failed":
        raise ClientError(client.status.last_error or "the client failed")


async def _is_undefined(client: YabamClient, document: SharedDocument) -> bool:
    """Whether no definition covers the document, so that it cannot be created.

    Raises:
        RefusedError, UnauthorizedError, UnreachableError: Core does not answer the question.
    """
    scope, key = parse_channel(document.channel).kind, document.key.partition(".")[0]
    definitions = await client.state.definitions()
    return all(one["key"] != key or scope not in one["scopes"] for one in definitions)


def _undefined(document: SharedDocument) -> str:
    name = f"{document.key} in {document.channel}"
    return f"no definition knows {name}: `GET /v1/definitions` lists all"


async def _failed(client: YabamClient, news: asyncio.Event) -> None:
    async for status in client.statuses():
        if status.mode == "failed":
            news.set()


async def outcome_of(client: YabamClient, edit: EditHandle, wait_s: float) -> EditOutcome | None:
    """The outcome of an edit; None: Core has not answered in time.

    Args:
        client: the open client that made the edit.
        edit: as the document's method has returned it.
        wait_s: how long to wait for Core, in seconds.

    Raises:
        ClosedError: the client was closed meanwhile.
    """
    try:
        async with asyncio.timeout(wait_s), told_to_wait(lambda: client.state.sending_error):
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
    return (
        f"{document.channel} {document.key}@{document.version}{pending} {json_line(document.value)}"
    )


def _shown(document: SharedDocument) -> dict[str, Any]:
    """A document as JSON, for programs."""
    return {
        "channel": document.channel,
        "key": document.key,
        "version": document.version,
        "pending": document.pending,
        "value": document.value,
    }


def object_of(text: str) -> dict[str, Any]:
    """Parse an argument as a JSON object.

    Raises:
        UsageError: the text is not one.
    """
    try:
        return _value(text)
    except msgspec.DecodeError as error:
        raise UsageError(f"{text[:80]!r} is not a JSON object: {error}") from error
