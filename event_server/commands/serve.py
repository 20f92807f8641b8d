"""`yabam events`: one process, or several that share a port."""

from __future__ import annotations

import asyncio
import socket
import time
from argparse import Namespace

import uvloop

from client_sdk.contract.errors import TicketError
from event_server.http.access import OpsTokens
from event_server.main import run_events, ticket_keys
from event_server.settings import EventSettings
from event_server.supervisor import Workers, command_of, reserve
from server_common.errors import SettingsError
from server_common.logs import configure
from server_common.settings.loader import load
from server_common.sockets import bind


def events(options: Namespace) -> int:
    """Serve streams until told to stop.

    Raises:
        SettingsError: the process cannot start with its settings.
    """
    settings = load(EventSettings)
    if options.workers > 1:
        return _run_workers(settings, options.workers)
    try:
        keys = ticket_keys(settings)
    except TicketError as error:
        raise SettingsError(f"YABAM_TICKET_KEYS: {error}") from error
    tokens = OpsTokens(settings.token_keys, time.time)
    configure("events")
    uvloop.run(run_events(settings, keys, tokens, _listeners(settings, options), options.worker))
    return 0


def _listeners(settings: EventSettings, options: Namespace) -> list[socket.socket]:
    host = settings.events_host
    if options.worker is None:
        return [bind(host, settings.events_port, "YABAM_EVENTS_PORT")]
    shared = bind(host, options.shared_port, "YABAM_EVENTS_PORT", shared=True)
    if not settings.events_worker_port:
        return [shared]
    own = settings.events_worker_port + options.worker
    return [shared, bind(host, own, "YABAM_EVENTS_WORKER_PORT")]


def _run_workers(settings: EventSettings, count: int) -> int:
    configure("events")
    with reserve(settings.events_host, settings.events_port, "YABAM_EVENTS_PORT") as port:
        number = port.getsockname()[1]
        workers = Workers(count, lambda worker: command_of(worker, number), time.monotonic)
        return asyncio.run(workers.run())
