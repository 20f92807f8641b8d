"""A database that is read-only, not migrated, or takes no connections is an absent one for every
process: it is not ready, says why, waits, and works again afterwards."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from core_api.kafka.topics import ensure_topics, events_topic
from core_api.main import run_core
from core_api.postgres.pool import NEEDED_REVISION
from core_api.processes import broker_admin, ingest, relay, webhooks
from core_api.settings import (
    BrokerAdminSettings,
    CoreSettings,
    IngestSettings,
    RelaySettings,
    WebhooksSettings,
)
from deploy.local.postgres import EmbeddedPostgres
from deploy.mqtt.server import MosquittoServer
from server_common.sockets import bind
from tests.integration.core_api.own_processes import PARTITIONS, World
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.push_service import encoded
from tests.secure_kafka import make_certificates

ABSENT = {
    "read-only": (
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "ALTER DATABASE {name} RESET default_transaction_read_only",
        "it is read-only",
    ),
    "not migrated": (
        "UPDATE alembic_version SET version_num = '0001'",
        f"UPDATE alembic_version SET version_num = '{NEEDED_REVISION}'",
        "yabam db upgrade",
    ),
    "without connections": (
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        "ALTER DATABASE {name} ALLOW_CONNECTIONS true",
        "the database is not available",
    ),
}
"""How it becomes absent, how it returns, and what each process says meanwhile."""
_Run = Callable[[Any, Any], Coroutine[Any, Any, None]]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoServer]:
    server = MosquittoServer(tmp_path / "mqtt")
    server.start()
    yield server
    server.kill()


def processes(world: World, mosquitto: MosquittoServer) -> Mapping[str, tuple[_Run, Any]]:
    """All processes that use Postgres, each with its settings."""
    core = world.settings | {"ticket_keys": {"local": KEYS.ticket}, "ticket_kid": "local"}
    sending = world.settings | {
        "webhooks_keys": {"local": KEYS.webhooks},
        "webhooks_kid": "local",
        "push_key": encoded(b"k" * 32),
        "push_contact": "mailto:ops@example.com",
    }
    admin = world.settings | {
        "mqtt_broker": f"127.0.0.1:{mosquitto.port}",
        "mqtt_admin_password": mosquitto.password_of_admin,
        "mqtt_password": mosquitto.password_of_gateway,
        "devices_keys": {"local": KEYS.devices},
    }
    return {
        "core": (run_core, CoreSettings.model_validate(core)),
        "relay": (relay.run_relay_process, RelaySettings.model_validate(world.settings)),
        "ingest": (ingest.run_ingest_process, IngestSettings.model_validate(world.settings)),
        "webhooks": (webhooks.run_webhooks_process, WebhooksSettings.model_validate(sending)),
        "mqtt-admin": (
            broker_admin.run_broker_admin_process,
            BrokerAdminSettings.model_validate(admin),
        ),
    }


class Running:
    """The processes, and the server of their database."""

    def __init__(
        self, clients: Mapping[str, httpx.AsyncClient], admin: Any, database_url: str
    ) -> None:
        self.clients = clients
        self._admin = admin
        self._url = database_url
        self._name = database_url.rpartition("/")[2]

    async def until(self, status: int, reason: str, when: str) -> None:
        """Wait until every process answers so."""
        last: dict[str, str] = {}
        try:
            async with asyncio.timeout(60):
                for name, client in self.clients.items():
                    while True:
                        answer = await client.get("/readyz")
                        last[name] = f"{answer.status_code} {answer.text}"
                        if answer.status_code == status and reason in answer.text:
                            break
                        await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{when}: {last}")

    async def switch(self, statement: str) -> None:
        """Change the database, and end the sessions that do not know it."""
        if "UPDATE" in statement:
            await self._in_it(statement)
        else:
            await self._admin.execute(statement.format(name=self._name))
        await self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", self._name
        )

    async def until_published(self) -> None:
        """Wait until the relay has published all that is in the outbox."""
        async with asyncio.timeout(60):
            while await self._in_it("SELECT FROM outbox LIMIT 1") != "SELECT 0":  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def _in_it(self, statement: str) -> str:
        connection = await asyncpg.connect(self._url)
        try:
            return str(await connection.execute(statement))
        finally:
            await connection.close()


async def test_every_process_waits_for_a_database_that_is_absent(
    postgres: EmbeddedPostgres,
    database_url: str,
    embedded_broker: Any,
    mosquitto: MosquittoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(database_url, embedded_broker.bootstrap, make_certificates(tmp_path, "nobody"))
    for process in (broker_admin, ingest, relay, webhooks):
        monkeypatch.setattr(process, "stop_signal", lambda: world.stop)
    monkeypatch.setattr("core_api.http.server.READINESS_LEAD_S", 0.0)
    await ensure_topics(world.kafka, [events_topic(world.events_topic, PARTITIONS)], 10)
    trusts = ssl.create_default_context(cafile=str(world.files.ca))
    async with AsyncExitStack() as stack:
        tasks, clients = {}, {}
        for name, (run, settings) in processes(world, mosquitto).items():
            listener = stack.enter_context(bind("127.0.0.1", 0, "none"))
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            tasks[name] = asyncio.create_task(run(settings, listener))
            stack.push_async_callback(_end, tasks[name], world.stop, name)
            client = httpx.AsyncClient(base_url=url, timeout=30, verify=trusts)
            clients[name] = await stack.enter_async_context(client)
        admin = await asyncpg.connect(postgres.url)
        stack.push_async_callback(admin.close)
        running = Running(clients, admin, database_url)
        await running.until(200, "", "at the start")
        for kind, (begin, end, reason) in ABSENT.items():
            await running.switch(begin)
            await running.until(503, reason, kind)
            await running.switch(end)
            await running.until(200, "", f"no longer {kind}")
            store = new_store()
            placed = await clients["core"].post(
                "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
            )
            assert placed.status_code == 201, kind
            await running.until_published()
        assert not [name for name, task in tasks.items() if task.done()]


async def _end(task: asyncio.Task[None], stop: asyncio.Event, name: str) -> None:
    stop.set()
    if name == "core":
        task.cancel()  # it has no other end than a signal
    await asyncio.gather(task, return_exceptions=True)
