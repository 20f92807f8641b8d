"""Wires the sender of webhooks."""

from __future__ import annotations

import socket

import structlog

from core_api.postgres.pool import open_pool
from core_api.settings import WebhooksSettings
from core_api.webhooks.main import run_webhooks
from core_api.wiring import stop_signal, token_keys

log = structlog.get_logger()


async def run_webhooks_process(settings: WebhooksSettings, listener: socket.socket) -> None:
    """`yabam webhooks`: send until SIGTERM or SIGINT."""
    pool = await open_pool(
        settings.database_url,
        size=8,
        command_timeout_s=5.0,
        name="yabam-webhooks",
        is_pooled=settings.is_pooled,
    )
    try:
        await run_webhooks(
            settings,
            pool=pool,
            verify=token_keys(settings.token_keys, settings.token_kid).verify,
            listener=listener,
            stop=stop_signal(),
        )
    finally:
        pool.terminate()
        log.info("webhooks_stopped")
