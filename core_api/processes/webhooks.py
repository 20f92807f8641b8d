"""Wires the sender of webhooks, and the sender of pushes, in one process."""

from __future__ import annotations

import socket
import time
from argparse import Namespace

from prometheus_client import CollectorRegistry

from core_api.postgres.pool import Pool
from core_api.processes.starting import Place, connected, start
from core_api.push.due import DueOwners
from core_api.push.due_guests import DueGuests
from core_api.push.messages import PushKeys, push_keys
from core_api.push.metrics import PushMetrics
from core_api.push.sender import PushSender
from core_api.revocations.watching import Revoked
from core_api.settings import WebhooksSettings
from core_api.webhooks.addresses import Networks
from core_api.webhooks.main import Tasks, run_webhooks
from core_api.webhooks.posting import Poster
from core_api.wiring import token_keys, utc_now
from server_common.sockets import stop_signal


def webhooks(_options: Namespace) -> None:
    """Send webhooks until told to stop."""
    start(
        "webhooks",
        WebhooksSettings,
        lambda s: Place(s.webhooks_host, s.webhooks_port, "YABAM_WEBHOOKS_PORT"),
        run_webhooks_process,
    )


async def run_webhooks_process(settings: WebhooksSettings, listener: socket.socket) -> None:
    """`yabam webhooks`: send until SIGTERM or SIGINT.

    Raises:
        SettingsError: a key is wrong, or there is none for webhooks.
    """
    keys = push_keys(settings.push_key, settings.push_contact)
    # A poster of its own, so that neither sender waits for the other's connections.
    poster = Poster(Networks(settings.webhooks_networks))
    async with connected(settings, "yabam-webhooks", 8, 5.0, "webhooks_stopped") as pool:
        try:
            await run_webhooks(
                settings,
                pool=pool,
                verify=token_keys(settings.token_keys, settings.token_kid).verify,
                listener=listener,
                stop=stop_signal(),
                beside=lambda registry: _pushes(registry, settings, pool, poster, keys),
            )
        finally:
            await poster.close()


def _pushes(
    registry: CollectorRegistry,
    settings: WebhooksSettings,
    pool: Pool,
    poster: Poster,
    keys: PushKeys | None,
) -> Tasks:
    if keys is None:
        return {}
    metrics = PushMetrics(registry)
    revoked = Revoked(pool, time.time, time.monotonic)
    owners = DueOwners(pool, revoked, settings.push_after_s)
    guests = DueGuests(pool, revoked)
    return {
        "push": PushSender("owners", owners, poster, keys, metrics, utc_now).run,
        "push-guests": PushSender("guests", guests, poster, keys, metrics, utc_now).run,
    }
