"""Wires the broker's admin: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.broker_admin.admin import BrokerAdmin
from core_api.broker_admin.metrics import AdminMetrics
from core_api.broker_admin.registrations import StoredRegistrations
from core_api.broker_admin.rights import ADMIN_USER
from core_api.http.probes import refusal_by
from core_api.postgres.database_watch import TASK as DATABASE
from core_api.postgres.database_watch import DatabaseWatch
from core_api.postgres.pool import check_database
from server_common.devices.identity import DeviceKeys
from server_common.mqtt.broker import Broker, parse_address
from server_common.ops.process import observed

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool
    from core_api.settings import BrokerAdminSettings

_ALIVE_WITHIN_S: Final = 60.0


async def run_broker_admin(
    settings: BrokerAdminSettings,
    *,
    pool: Pool,
    verify: Callable[[str], Caller],
    listener: socket.socket,
    stop: asyncio.Event,
) -> None:
    """Keep the broker's users and roles until `stop` is set.

    Args:
        settings: its settings.
        pool: the database; one connection is enough.
        verify: who holds a token; raises `UnauthorizedError`.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
    """
    registry = CollectorRegistry()
    metrics = AdminMetrics(registry)
    host, port = parse_address(settings.mqtt_broker)
    keys = {kid: key.encode() for kid, key in settings.devices_keys.items()}
    admin = BrokerAdmin(
        Broker(host, port, ADMIN_USER, settings.mqtt_admin_password, settings.mqtt_ca_file),
        StoredRegistrations(pool),
        DeviceKeys(keys, next(iter(keys), "")),
        settings.mqtt_password,
        settings.mqtt_readers_of_orders,
        metrics,
        time.monotonic,
    )
    database = DatabaseWatch(lambda: check_database(pool))
    async with observed(
        listener,
        registry,
        metrics.restarts,
        refusal_by(verify),
        lambda: time.monotonic() - admin.turned_at < _ALIVE_WITHIN_S,
        lambda: database.trouble or admin.trouble,
        settings.certificate,
    ) as tasks:
        tasks.start(DATABASE, database.run)
        tasks.start("admin", admin.run)
        await stop.wait()
