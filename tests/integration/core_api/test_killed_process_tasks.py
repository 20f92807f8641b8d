"""Each background task of the processes beside Core fails from inside: it is started again, the
process says so, and is not ready while it fails if its work needs that task."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core_api.kafka.topics import ensure_topics, events_topic
from core_api.processes import broker_admin, ingest, relay, webhooks
from core_api.settings import BrokerAdminSettings, IngestSettings, RelaySettings, WebhooksSettings
from deploy.mqtt.server import MosquittoServer
from event_server.mqtt_gateway.main import run_gateway
from event_server.settings import GatewaySettings
from server_common.sockets import bind
from tests.integration.core_api.own_processes import PARTITIONS, World
from tests.integration.core_service import KEYS, bearer, token
from tests.killing import Killer
from tests.mqtt_parts import Register, administered
from tests.push_service import encoded
from tests.secure_kafka import make_certificates


async def hold_each(
    world: World,
    run: Callable[..., Coroutine[Any, Any, None]],
    settings: Any,
    tasks: set[str],
    essential: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run the process, and kill each of its tasks."""
    listener = bind("127.0.0.1", 0, "none")
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    running = asyncio.create_task(run(settings, listener))
    trusts = ssl.create_default_context(cafile=str(world.files.ca))
    async with httpx.AsyncClient(
        base_url=url, headers=bearer(token("ops")), timeout=30, verify=trusts
    ) as client:
        await Killer(client, monkeypatch).hold_each(tasks, essential)
    assert not running.done()
    world.stop.set()
    await running


@pytest.fixture
async def world(
    database_url: str,
    embedded_broker: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    one = World(database_url, embedded_broker.bootstrap, make_certificates(tmp_path, "nobody"))
    for process in (broker_admin, ingest, relay, webhooks):
        monkeypatch.setattr(process, "stop_signal", lambda: one.stop)
    await ensure_topics(one.kafka, [events_topic(one.events_topic, PARTITIONS)], 10)
    return one


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoServer]:
    server = MosquittoServer(tmp_path / "mqtt")
    server.start()
    yield server
    server.kill()


async def test_the_relay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    essential = {"database", "relay", "reach", "commands", "revocations"}
    await hold_each(
        world,
        relay.run_relay_process,
        RelaySettings.model_validate(world.settings),
        essential | {"hints", "certificate"},
        essential,
        monkeypatch,
    )


async def test_ingest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = {"device-measurements", "device-silence", "star-printers"}
    await hold_each(
        world,
        ingest.run_ingest_process,
        IngestSettings.model_validate(world.settings),
        {"database", "ingest", "devices", "hints", "receipts", "certificate"} | beside,
        {"database", "ingest", "devices"},
        monkeypatch,
    )


async def test_webhooks_and_pushes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {
        "webhooks_keys": {"local": KEYS.webhooks},
        "webhooks_kid": "local",
        "push_key": encoded(b"k" * 32),
        "push_contact": "mailto:ops@example.com",
    }
    await hold_each(
        world,
        webhooks.run_webhooks_process,
        WebhooksSettings.model_validate(world.settings | more),
        {"database", "send", "hints", "count", "push", "push-guests", "certificate"},
        {"database", "send"},
        monkeypatch,
    )


async def test_the_admin_of_the_mqtt_broker(
    world: World, mosquitto: MosquittoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        "mqtt_broker": f"127.0.0.1:{mosquitto.port}",
        "mqtt_admin_password": mosquitto.password_of_admin,
        "mqtt_password": mosquitto.password_of_gateway,
        "devices_keys": {"local": KEYS.devices},
    }
    await hold_each(
        world,
        broker_admin.run_broker_admin_process,
        BrokerAdminSettings.model_validate(world.settings | more),
        {"database", "admin", "certificate"},
        {"database", "admin"},
        monkeypatch,
    )


async def test_the_mqtt_gateway(
    world: World, mosquitto: MosquittoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {
        "mqtt_broker": f"127.0.0.1:{mosquitto.port}",
        "mqtt_user": "yabam-gateway",
        "mqtt_password": mosquitto.password_of_gateway,
        "mqtt_group": f"group-{uuid4().hex}",
        "core_token": token("ops"),
    }
    async with administered(mosquitto, Register()):
        await hold_each(
            world,
            lambda settings, listener: run_gateway(settings, listener, world.stop),
            GatewaySettings.model_validate(world.settings | more),
            {"sink", "down", "up", "telemetry", "star", "certificate"},
            {"sink", "down", "up"},
            monkeypatch,
        )
