"""The agent's part of the command line: `yabam printer`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from client_sdk.cli import printable
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError
from printer_agent.agent import Agent
from printer_agent.connections import place_of
from printer_agent.core_source import CoreSource
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
    parser.add_argument("--token", help="the device's token (default: the variable YABAM_TOKEN)")
    parser.add_argument(
        "--journal", type=Path, help="the file that survives a crash (default: in var/printers)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    token = options.token or os.environ.get("YABAM_TOKEN")
    if not token:
        raise AgentError("give the device's token: --token, or the variable YABAM_TOKEN")
    try:
        parse_channel(f"device:{options.store}/{options.device}")
    except ChannelError as error:
        raise AgentError(str(error)) from error
    place = place_of(options.to)
    default = Path("var/printers") / f"{options.store}-{options.device}.journal"
    journal = Journal(options.journal or default)
    try:
        asyncio.run(_print(options, token, journal, place))
    except asyncio.CancelledError:
        pass
    finally:
        journal.close()
    return 0


async def _print(options: argparse.Namespace, token: str, journal: Journal, place: Any) -> None:
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - asyncio.run runs this
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with CoreSource(
        options.core, token, options.store, options.device, journal.agent
    ) as source:
        await Agent(source, journal, place, _say).run()


def _say(line: str) -> None:
    print(f"printer: {printable(line)}", file=sys.stderr, flush=True)
