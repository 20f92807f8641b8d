"""Wires the admin of the MQTT broker."""

from __future__ import annotations

import socket

import structlog

from core_api.broker_admin.main import run_broker_admin
from core_api.postgres.pool import open_pool
from core_api.settings import BrokerAdminSettings
from core_api.wiring import stop_signal, token_keys

log = structlog.get_logger()


async def run_broker_admin_process(settings: BrokerAdminSettings, listener: socket.socket) -> None:
    """`yabam mqtt-admin`: keep the broker's users and roles until SIGTERM or SIGINT."""
    pool = await open_pool(
        settings.database_url,
        size=2,
        command_timeout_s=10.0,
        name="yabam-mqtt-admin",
        is_pooled=settings.is_pooled,
    )
    try:
        await run_broker_admin(
            settings,
            pool=pool,
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
    finally:
        pool.terminate()
        log.info("broker_admin_stopped")
