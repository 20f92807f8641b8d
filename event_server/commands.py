"""The event server's part of the command line: `yabam events`."""

from __future__ import annotations

import argparse
import time

import uvloop

from client_sdk.contract.errors import TicketError
from event_server.access import OpsTokens
from event_server.errors import SettingsError
from event_server.logs import configure
from event_server.main import run_events, ticket_keys
from event_server.serving import bind
from event_server.settings import EventSettings, load

Subparsers = argparse._SubParsersAction  # the type that add_subparsers gives has no public name


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the event server's command."""
    events = subparsers.add_parser("events", help="serve streams of events (SSE)")
    events.set_defaults(run=_events)


def _events(_args: argparse.Namespace) -> int:
    settings = load(EventSettings)
    try:
        keys = ticket_keys(settings)
    except TicketError as error:
        raise SettingsError(f"YABAM_TICKET_KEYS: {error}") from error
    tokens = OpsTokens(settings.token_keys, time.time)
    configure("events")
    listener = bind(settings.events_host, settings.events_port, "YABAM_EVENTS_PORT")
    uvloop.run(run_events(settings, keys, tokens, listener))
    return 0
