"""`yabam printer`: the agent that prints a store's tickets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from client_sdk.command_line.output import tell
from client_sdk.commands.connection import token_of
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError, UsageError
from client_sdk.printer.agent import Agent
from client_sdk.printer.connections import Address, address_of
from client_sdk.printer.core_source import CoreSource, Login
from client_sdk.printer.journal import Journal

if TYPE_CHECKING:
    from client_sdk.printer.mqtt_source import MqttSource

    Source: TypeAlias = CoreSource | MqttSource

_TLS_PORT: Final = 8883
_PLAIN_PORT: Final = 1883


def run(options: Namespace) -> None:
    """Print until told to stop.

    Raises:
        UsageError: an option for the printer, its address or the source of jobs is wrong.
        AgentError: the journal cannot be opened.
    """
    try:
        parse_channel(f"device:{options.store}/{options.device}")
    except ChannelError as error:
        raise UsageError(str(error)) from error
    make = source_of(options)
    address = address_of(options.to)
    default = Path("var/printers") / f"{options.store}-{options.device}.journal"
    journal = Journal(options.journal or default)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_print(make, journal, address))
    finally:
        journal.close()


def source_of(options: Namespace) -> Callable[[Journal], Source]:
    """The source of jobs: the broker, if one is set, or Core.

    Raises:
        UsageError: an option is wrong.
    """
    is_by_mqtt = options.mqtt is not None and not options.sse
    return _mqtt_source(options) if is_by_mqtt else _core_source(options)


def _core_source(options: Namespace) -> Callable[[Journal], Source]:
    token = _login(options) if options.user else token_of(options)
    return lambda journal: CoreSource(
        options.core, token, options.store, options.device, journal.agent
    )


def _mqtt_source(options: Namespace) -> Callable[[Journal], Source]:
    if not options.user:
        raise UsageError("give the device's user name at the broker: --user")
    if options.user.split("~")[:2] != [options.store, options.device]:
        raise UsageError(f"{options.user} is not the user name of {options.store}/{options.device}")
    host, port = _address(options.mqtt, _PLAIN_PORT if options.mqtt_plain else _TLS_PORT)
    password = _password()
    # Loaded here only: printing by server-sent events needs no MQTT client.
    from client_sdk.printer.mqtt_source import MqttSource

    return lambda journal: MqttSource(
        host,
        port,
        user=options.user,
        password=password,
        ca_file=options.mqtt_ca,
        tls=not options.mqtt_plain,
        agent=journal.agent,
        boot=journal.next_boot(),
    )


def _login(options: Namespace) -> Login:
    return Login(options.core, options.user, _password())


def _password() -> str:
    password = os.environ.get("YABAM_DEVICE_PASSWORD")
    if not password:
        raise UsageError("give the device's password: the variable YABAM_DEVICE_PASSWORD")
    return password


def _address(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        host, port = parts.hostname, parts.port or default
    except ValueError:
        host, port = None, default
    if host is None or parts.path:
        raise UsageError(f"--mqtt {text}: write host or host:port")
    return host, port


async def _print(make: Callable[[Journal], Source], journal: Journal, address: Address) -> None:
    this = asyncio.current_task()
    assert this is not None  # noqa: S101 - asyncio.run runs this
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with make(journal) as source:
        await Agent(source, journal, address, _say).run()


def _say(line: str) -> None:
    tell(f"printer: {line}")
