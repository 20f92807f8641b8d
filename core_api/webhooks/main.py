"""Wires the sender of webhooks: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.http.probes import refusal_by
from core_api.postgres.commit_hints import Hints
from core_api.postgres.database_watch import TASK as DATABASE
from core_api.postgres.database_watch import DatabaseWatch
from core_api.postgres.patience import keep_looking
from core_api.postgres.pool import check_database
from core_api.webhooks.addresses import Networks
from core_api.webhooks.metrics import WebhookMetrics
from core_api.webhooks.posting import Poster
from core_api.webhooks.registrations import read_standing
from core_api.webhooks.sender import WebhookSender
from core_api.webhooks.signing import webhook_keys
from server_common.errors import SettingsError
from server_common.ops.process import observed

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool
    from core_api.settings import WebhooksSettings

_ALIVE_WITHIN_S: Final = 60.0
_COUNT_EVERY_S: Final = 5.0
Tasks = Mapping[str, Callable[[], Awaitable[None]]]
"""Background tasks by their names."""


async def run_webhooks(
    settings: WebhooksSettings,
    *,
    pool: Pool,
    verify: Callable[[str], Caller],
    listener: socket.socket,
    stop: asyncio.Event,
    beside: Callable[[CollectorRegistry], Tasks],
) -> None:
    """Send webhooks until `stop` is set.

    Args:
        settings: its settings.
        pool: the database.
        verify: who holds a token; raises `UnauthorizedError`.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
        beside: makes other tasks of this process, with metrics in the registry that it gets;
            webhooks do not depend on them.

    Raises:
        SettingsError: there is no key, one is too short, or the newest is not among them.
    """
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    keys = webhook_keys(settings.webhooks_keys, settings.webhooks_kid)
    if keys is None:
        raise SettingsError("YABAM_WEBHOOKS_KEYS names no key: no webhook could be signed")
    poster = Poster(Networks(settings.webhooks_networks))
    sender = WebhookSender(pool, poster, keys, metrics, lambda: datetime.now(UTC))
    hints = Hints(pool, settings.session_url, sender.wake)
    database = DatabaseWatch(lambda: check_database(pool))
    try:
        async with observed(
            listener,
            registry,
            metrics.restarts,
            refusal_by(verify),
            lambda: (datetime.now(UTC) - sender.turned_at).total_seconds() < _ALIVE_WITHIN_S,
            lambda: database.trouble or sender.trouble,
            settings.certificate,
        ) as tasks:
            tasks.start(DATABASE, database.run)
            tasks.start("send", sender.run)
            tasks.start("hints", hints.listen, essential=False)
            tasks.start("count", lambda: _keep_counting(pool, metrics), essential=False)
            for name, work in beside(registry).items():
                tasks.start(name, work, essential=False)
            await stop.wait()
            await sender.drain()
    finally:
        await poster.close()


async def _keep_counting(pool: Pool, metrics: WebhookMetrics) -> None:
    async def count() -> None:
        metrics.stands(await read_standing(pool))

    await keep_looking(count, _COUNT_EVERY_S, "webhooks_not_counted")
