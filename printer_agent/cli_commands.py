"""The agent's part of the command line: `yabam printer`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from client_sdk.cli import printable
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError
from printer_agent.agent import Agent
from printer_agent.connections import Place, place_of
from printer_agent.core_source import CoreSource, Login
from printer_agent.errors import AgentError
from printer_agent.journal import Journal

_DEFAULT_CORE: Final = "http://127.0.0.1:8000"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("printer", help="print a store's tickets on a printer")
    core = os.environ.get("YABAM_CORE_URL", _DEFAULT_CORE)
    parser.add_argument("--store", required=True)
    parser.add_argument("--device", required=True, help="the printer's name in `printing`")
    parser.add_argument(
        "--to", required=True, help="socket://host:9100, file:///dev/usb/lp0 or stdout"
    )
    parser.add_argument("--sse", action="store_true", help="take jobs by server-sent events")
    parser.add_argument("--core", default=core, help=f"Core's address (default {core})")
    parser.add_argument(
        "--user", help="the device's user name; its password is in YABAM_DEVICE_PASSWORD"
    )
    parser.add_argument("--token", help="an access token (default: the variable YABAM_TOKEN)")
    parser.add_argument(
        "--journal", type=Path, help="the file that survives a crash (default: in var/printers)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    token = _token(options)
    try:
        parse_channel(f"device:{options.store}/{options.device}")
    except ChannelError as error:
        raise AgentError(str(error)) from error
    place = place_of(options.to)
    default = Path("var/printers") / f"{options.store}-{options.device}.journal"
    journal = Journal(options.journal or default)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_print(options, token, journal, place))
    finally:
        journal.close()
    return 0


def _token(options: argparse.Namespace) -> str | Login:
    if options.user:
        password = os.environ.get("YABAM_DEVICE_PASSWORD")
        if not password:
            raise AgentError("give the device's password: the variable YABAM_DEVICE_PASSWORD")
        return Login(options.core, options.user, password)
    token = options.token or os.environ.get("YABAM_TOKEN")
    if not token:
        raise AgentError("say who prints: --user, --token, or the variable YABAM_TOKEN")
    return str(token)


async def _print(
    options: argparse.Namespace, token: str | Login, journal: Journal, place: Place
) -> None:
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - asyncio.run runs this
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with CoreSource(
        options.core, token, options.store, options.device, journal.agent
    ) as source:
        await Agent(source, journal, place, _say).run()


def _say(line: str) -> None:
    print(f"printer: {printable(line)}", file=sys.stderr, flush=True)
