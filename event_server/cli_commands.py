"""The event server's part of the command line: `yabam events`, `yabam mqtt`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import time
from typing import Final

import uvloop

from client_sdk.contract.errors import TicketError
from event_server.http.access import OpsTokens
from event_server.main import run_events, ticket_keys
from event_server.mqtt_gateway.main import run_gateway
from event_server.settings import EventSettings, GatewaySettings
from event_server.supervisor import Workers, command_of, reserve
from server_common.errors import SettingsError
from server_common.logs import configure
from server_common.settings_loader import load
from server_common.sockets import bind

MOST_WORKERS: Final = 256
Subparsers = argparse._SubParsersAction  # the type that add_subparsers gives has no public name


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the event server's commands."""
    events = subparsers.add_parser("events", help="serve streams of events (SSE)")
    events.add_argument(
        "--workers", type=_count, default=1, help="how many processes share the port (default 1)"
    )
    events.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    events.add_argument("--shared-port", type=int, help=argparse.SUPPRESS)
    events.set_defaults(run=_events)
    gateway = subparsers.add_parser("mqtt", help="carry messages between Kafka and an MQTT broker")
    gateway.set_defaults(run=_gateway)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MOST_WORKERS}, not {text!r}")
    return int(text)


def _events(args: argparse.Namespace) -> int:
    settings = load(EventSettings)
    if args.workers > 1:
        return _run_workers(settings, args.workers)
    try:
        keys = ticket_keys(settings)
    except TicketError as error:
        raise SettingsError(f"YABAM_TICKET_KEYS: {error}") from error
    tokens = OpsTokens(settings.token_keys, time.time)
    configure("events")
    uvloop.run(run_events(settings, keys, tokens, _listeners(settings, args), args.worker))
    return 0


def _gateway(_args: argparse.Namespace) -> int:
    settings = load(GatewaySettings)
    configure("mqtt")
    listener = bind(settings.mqtt_host, settings.mqtt_port, "YABAM_MQTT_PORT")
    uvloop.run(_until_signal(settings, listener))
    return 0


async def _until_signal(settings: GatewaySettings, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_gateway(settings, listener, stop)


def _listeners(settings: EventSettings, args: argparse.Namespace) -> list[socket.socket]:
    host = settings.events_host
    if args.worker is None:
        return [bind(host, settings.events_port, "YABAM_EVENTS_PORT")]
    shared = bind(host, args.shared_port, "YABAM_EVENTS_PORT", shared=True)
    if not settings.events_worker_port:
        return [shared]
    own = settings.events_worker_port + args.worker
    return [shared, bind(host, own, "YABAM_EVENTS_WORKER_PORT")]


def _run_workers(settings: EventSettings, count: int) -> int:
    configure("events")
    with reserve(settings.events_host, settings.events_port, "YABAM_EVENTS_PORT") as port:
        number = port.getsockname()[1]
        workers = Workers(count, lambda worker: command_of(worker, number), time.monotonic)
        return asyncio.run(workers.run())
