"""Wires the relay."""

from __future__ import annotations

import os
import secrets
import socket
from argparse import Namespace

from core_api.processes.starting import Place, connected, start
from core_api.relay.main import run_relay
from core_api.settings import RelaySettings
from core_api.wiring import token_keys
from server_common.sockets import stop_signal


def relay(_options: Namespace) -> None:
    """Publish until told to stop."""
    start(
        "relay",
        RelaySettings,
        lambda s: Place(s.relay_host, s.relay_port, "YABAM_RELAY_PORT"),
        run_relay_process,
    )


async def run_relay_process(settings: RelaySettings, listener: socket.socket) -> None:
    """`yabam relay`: publish until SIGTERM or SIGINT."""
    async with connected(settings, "yabam-relay", 4, 10.0, "relay_stopped") as pool:
        await run_relay(
            settings,
            pool=pool,
            relay_id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
