"""Wires the relay."""

from __future__ import annotations

import os
import secrets
import socket
from argparse import Namespace

from core_api.postgres.pool import open_pool
from core_api.processes.starting import Place, start
from core_api.relay.main import run_relay
from core_api.settings import RelaySettings
from core_api.wiring import token_keys
from server_common.logs import get_logger
from server_common.sockets import stop_signal

log = get_logger()


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
    pool = await open_pool(
        settings.database_url,
        size=4,
        command_timeout_s=10.0,
        name="yabam-relay",
        is_pooled=settings.is_pooled,
    )
    try:
        await run_relay(
            settings,
            pool=pool,
            relay_id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
    finally:
        pool.terminate()
        log.info("relay_stopped")
