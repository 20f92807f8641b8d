"""The event server's commands: `yabam events` and `yabam mqtt`.

Only declared here: what runs them is loaded when they run.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentTypeError
from typing import Final

from client_sdk.command_line.parser import Commands
from client_sdk.contract.text import number_of

MAX_WORKERS: Final = 256


def register(commands: Commands) -> None:
    """Add the event server's commands."""
    events = commands.process(
        "events", "serve streams of events (SSE)", "event_server.commands.serve:events"
    )
    events.add_argument(
        "--workers", type=_count, default=1, help="how many processes share the port (default 1)"
    )
    events.add_argument("--worker", type=int, help=SUPPRESS)
    events.add_argument("--shared-port", type=int, help=SUPPRESS)
    commands.process(
        "mqtt",
        "carry messages between Kafka and an MQTT broker",
        "event_server.commands.gateway:gateway",
    )


def _count(text: str) -> int:
    number = number_of(text, MAX_WORKERS)
    if not number:
        raise ArgumentTypeError(f"give a number from 1 to {MAX_WORKERS}, not {text!r}")
    return number
