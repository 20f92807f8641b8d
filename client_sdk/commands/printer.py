"""`yabam printer`: the agent that prints a store's tickets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from argparse import Namespace
from pathlib import Path

from client_sdk.command_line.output import tell
from client_sdk.commands.connection import token_of
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError, UsageError
from client_sdk.printer.agent import Agent
from client_sdk.printer.connections import Place, place_of
from client_sdk.printer.core_source import CoreSource, Login
from client_sdk.printer.journal import Journal


def run(options: Namespace) -> None:
    """Print until told to stop.

    Raises:
        UsageError: it cannot be understood who prints, or where.
        AgentError: the journal cannot be had.
    """
    token = _token(options)
    try:
        parse_channel(f"device:{options.store}/{options.device}")
    except ChannelError as error:
        raise UsageError(str(error)) from error
    place = place_of(options.to)
    default = Path("var/printers") / f"{options.store}-{options.device}.journal"
    journal = Journal(options.journal or default)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_print(options, token, journal, place))
    finally:
        journal.close()


def _token(options: Namespace) -> str | Login:
    if options.user:
        password = os.environ.get("YABAM_DEVICE_PASSWORD")
        if not password:
            raise UsageError("give the device's password: the variable YABAM_DEVICE_PASSWORD")
        return Login(options.core, options.user, password)
    return token_of(options)


async def _print(options: Namespace, token: str | Login, journal: Journal, place: Place) -> None:
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - asyncio.run runs this
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with CoreSource(
        options.core, token, options.store, options.device, journal.agent
    ) as source:
        await Agent(source, journal, place, _say).run()


def _say(line: str) -> None:
    tell(f"printer: {line}")
