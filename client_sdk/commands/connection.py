"""The parts that commands with a connection to Core share: token, address, waiting."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from client_sdk.client.producer import OrderProducer
from client_sdk.command_line.output import json_line, say, tell
from client_sdk.commands.texts import lamp_of, summary_of
from client_sdk.contract.errors import ContractError, UsageError
from client_sdk.errors import ClientError, RefusedError
from client_sdk.machine.status import Status
from client_sdk.shared_state.edits_api import EditsApi
from client_sdk.supervision import beside
from client_sdk.transport.http_bodies import check_token, no_cookies

_QUIET_S: Final = 1.0
_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)})


async def show_lamp(statuses: AsyncIterator[Status]) -> None:
    """Print how events arrive, each time that this has changed, until the statuses end."""
    shown = ""
    async for status in statuses:
        if (lamp := lamp_of(status)) != shown:
            shown = lamp
            tell(f"● {lamp}")


def token_of(options: Namespace) -> str:
    """The access token of the command line.

    Raises:
        UsageError: there is none.
    """
    token = options.token or os.environ.get("YABAM_TOKEN")
    if not token:
        raise UsageError(
            "give an access token: --token, or the variable YABAM_TOKEN (`yabam token` makes one)"
        )
    try:
        return check_token(str(token))
    except ContractError as error:
        raise UsageError(str(error)) from error


async def check_host(options: Namespace) -> None:
    """Refuse an address whose host does not exist; if the lookup itself fails, accept it.

    Raises:
        UsageError: there is no such host.
    """
    host = urlsplit(options.core).hostname
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_HOST:
            raise UsageError(f"there is no host {host}: check --core or YABAM_CORE_URL") from error
    except UnicodeError as error:
        raise UsageError(f"{host} is not a host name: {error}") from error


@contextlib.asynccontextmanager
async def core_of(options: Namespace) -> AsyncIterator[tuple[EditsApi, str]]:
    """A context with Core's API and the access token, for one command.

    Raises:
        UsageError: there is no token, or no such host.
    """
    token = token_of(options)
    await check_host(options)
    async with httpx.AsyncClient(base_url=options.core, cookies=no_cookies()) as http:
        yield EditsApi(http), token


async def show_all(options: Namespace, path: str, name: str) -> None:
    """Read a list from Core and print each of its entries.

    Args:
        options: the command's options, with `--core`, `--token` and `--json`.
        path: relative to Core's address, percent-encoded.
        name: the member of the answer that has the list; without it nothing is printed.

    Raises:
        UsageError: there is no token, or no such host.
        ClientError: Core does not answer, or refuses the request.
    """
    async with core_of(options) as (api, token):
        answer = await api.read(path, {}, token)
    for one in answer.get(name, []):
        say(options, json_line(one), one)


async def show_answer(
    options: Namespace, method: str, path: str, body: dict[str, Any] | None = None
) -> None:
    """Send a request, and print Core's answer.

    Args:
        options: the command's options, with `--core`, `--token` and `--json`.
        method: GET, PUT, POST or DELETE.
        path: relative to Core's address, percent-encoded.
        body: what is sent as JSON; None: no body.

    Raises:
        UsageError: there is no token, or no such host.
        ClientError: Core does not answer, or refuses the request.
    """
    async with core_of(options) as (api, token):
        answer = await api.request(method, path, token, body)
    say(options, json_line(answer), answer)


async def remove_one(options: Namespace, path: str, name: str) -> None:
    """Delete one thing at Core, and print that it is removed.

    Args:
        options: the command's options, with `--core`, `--token` and `--json`.
        path: relative to Core's address, percent-encoded.
        name: what is removed, as the output names it.

    Raises:
        UsageError: there is no token, or no such host.
        ClientError: Core does not answer, or refuses the request.
    """
    async with core_of(options) as (api, token):
        await api.request("DELETE", path, token)
    say(options, f"removed {name}", {"removed": name})


@contextlib.asynccontextmanager
async def producer_of(options: Namespace) -> AsyncIterator[OrderProducer]:
    """A producer that reports when it waits for Core, and a refused order's current state.

    Raises:
        UsageError: there is no token, or no such host.
        ClientError: as `OrderProducer`.
    """
    token = token_of(options)
    await check_host(options)
    async with OrderProducer(options.core, token, retrying=_tell_retry) as producer:
        try:
            yield producer
        except RefusedError as error:
            if (order := error.order) is None:
                raise
            stands = f"{order.status}, version {order.version}: {summary_of(order)}"
            raise ClientError(f"{error}\nThe order is now: {stands}") from error


def _tell_retry(attempt: int, wait_s: float, trouble: str) -> None:
    tell(f"● waiting for Core, attempt {attempt} failed: {trouble}; again in {wait_s:.1f} s")


@contextlib.asynccontextmanager
async def told_to_wait(reason: Callable[[], str | None]) -> AsyncIterator[None]:
    """Report that the command waits for Core, if it takes longer than a moment, and why."""
    async with beside("reason to wait", _tell_reasons(reason)):
        yield


async def _tell_reasons(reason: Callable[[], str | None]) -> None:
    told = None
    while True:
        await asyncio.sleep(_QUIET_S)
        why = reason()
        text = f"● waiting for Core: {why}" if why else "● waiting for Core"
        if text != told:
            tell(text)
            told = text


async def while_read(work: Awaitable[None]) -> None:
    """Do endless work until the reader of stdout has closed it.

    Raises:
        BrokenPipeError: it has. Without this, only the next result would notice.
    """
    with _reader_gone() as gone:
        async with beside("watch over stdout", _leave(gone)):
            await work


async def _leave(gone: asyncio.Event) -> None:
    await gone.wait()
    raise BrokenPipeError


@contextlib.contextmanager
def _reader_gone() -> Iterator[asyncio.Event]:
    """An event, set once the reader of stdout's pipe has closed it; not for files and terminals."""
    gone, loop, pipe = asyncio.Event(), asyncio.get_running_loop(), _pipe()
    if pipe is None:
        yield gone
        return
    # The writing end of a pipe becomes readable only when the reading end is closed.
    loop.add_reader(pipe, gone.set)
    try:
        yield gone
    finally:
        loop.remove_reader(pipe)


def _pipe() -> int | None:
    if os.name != "posix":
        return None
    try:
        number = sys.stdout.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except OSError:
        return None
