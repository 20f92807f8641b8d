"""Wires the gateway: one call that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import platform
import secrets
import socket
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from client_sdk.contract.problem import Problem, problem
from event_server.errors import StreamRefusedError
from event_server.http.access import OpsTokens
from event_server.mqtt_gateway.core import CoreDocuments
from event_server.mqtt_gateway.down import Down, DownSettings
from event_server.mqtt_gateway.group_reader import GroupSettings
from event_server.mqtt_gateway.metrics import GatewayMetrics
from event_server.mqtt_gateway.rules.incoming import (
    FILTERS,
    STAR_FILTER,
    TELEMETRY_FILTER,
    shared,
)
from event_server.mqtt_gateway.rules.presence import Presence
from event_server.mqtt_gateway.sink import KafkaSink
from event_server.mqtt_gateway.up import Up, UpSettings
from server_common.kafka.connection import chain_of
from server_common.logs import get_logger
from server_common.mqtt.broker import Broker, parse_address
from server_common.ops.process import observed

if TYPE_CHECKING:
    from event_server.settings import GatewaySettings

log = get_logger()

_ALIVE_WITHIN_S: Final = 60.0


async def run_gateway(
    settings: GatewaySettings, listener: socket.socket, stop: asyncio.Event
) -> None:
    """Carry messages until `stop` is set.

    Args:
        settings: this process's.
        listener: a bound socket, where health and metrics are served.
        stop: set it to end.
    """
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    name = f"yabam-gateway-{platform.node()}-{secrets.token_hex(4)}"
    broker = broker_of(settings)
    core = CoreDocuments(settings.core_url, settings.core_token, settings.core_ca_file)
    down = Down(
        DownSettings(
            GroupSettings(
                settings.cluster,
                settings.events_topic,
                settings.devices_outbound_topic,
                settings.mqtt_group,
            ),
            broker,
            name,
        ),
        core,
        Presence(),
        metrics,
        time.monotonic,
    )
    sink = KafkaSink(settings.cluster, metrics.retries.inc)
    up, telemetry, star = (
        Up(one, sink, metrics, time.monotonic, lambda: time.time_ns() // 1_000_000)
        for one in _ways_up(settings, broker, name)
    )
    tokens = OpsTokens(settings.token_keys, time.time)

    def refusal(request: Request) -> Problem | None:
        try:
            tokens.check(request.headers.get("authorization", ""))
        except StreamRefusedError as error:
            return problem(error.slug, str(error))
        return None

    try:
        async with observed(
            listener,
            registry,
            metrics.restarts,
            refusal,
            lambda: time.monotonic() - down.turned_at < _ALIVE_WITHIN_S,
            lambda: down.trouble or up.trouble or sink.trouble,
            settings.certificate,
            chain_of(settings.cluster),
        ) as tasks:
            log.info("gateway_started", broker=broker.address, name=name)
            tasks.start("sink", sink.open_and_wait)
            tasks.start("down", down.run)
            tasks.start("up", up.run)
            tasks.start("telemetry", telemetry.run, essential=False)
            # A broker with the rights of an earlier release does not permit it.
            tasks.start("star", star.run, essential=False)
            await stop.wait()
    finally:
        await sink.close()
        await core.close()
        log.info("gateway_stopped")


def broker_of(settings: GatewaySettings) -> Broker:
    """The broker that the settings name."""
    host, port = parse_address(settings.mqtt_broker)
    return Broker(
        host,
        port,
        settings.mqtt_user,
        settings.mqtt_password,
        settings.mqtt_ca_file,
        settings.mqtt_version,
    )


def _ways_up(
    settings: GatewaySettings, broker: Broker, name: str
) -> tuple[UpSettings, UpSettings, UpSettings]:
    """Telemetry has a session of its own, so that it never displaces a bell's message; messages of
    Star printers have one, so that the others work where the broker does not permit these."""
    # MQTT 3.1.1 has no shared subscriptions: there is one gateway then.
    share = broker.version == "5"
    filters = shared(FILTERS) if share else list(FILTERS)
    measured = shared((TELEMETRY_FILTER,)) if share else [TELEMETRY_FILTER]
    printers = shared((STAR_FILTER,)) if share else [STAR_FILTER]
    topics = settings.devices_inbound_topic, settings.devices_dlq_topic
    rate = settings.mqtt_device_rate_per_s, settings.mqtt_device_burst
    return (
        UpSettings("up", broker, f"{name}-up", filters, 1, *topics, *rate),
        UpSettings("telemetry", broker, f"{name}-telemetry", measured, 0, *topics, *rate),
        UpSettings("star", broker, f"{name}-star", printers, 1, *topics, *rate),
    )
