"""A real PgBouncer in transaction mode before Postgres: what needs a session goes past it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from core_api.errors import UnavailableError
from core_api.postgres.pool import check_database, open_pool
from core_api.push.messages import PushKeys
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.webhook_sender import LOOPBACK, add_sender
from deploy.processes.ports import free_port
from server_common.devices.messages import Inbound, encode
from tests.integration.core_api.relaying import commands, followed, place, started
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.parts import migrated_database
from tests.pgbouncer import PgBouncer
from tests.push_service import PushService
from tests.webhook_receiver import Receiver

pytestmark = pytest.mark.xdist_group("pgbouncer")

CONNECTIONS = 2
"""Fewer than there are statements at once, so that they change places."""


@pytest.fixture(scope="module")
def direct_url(postgres_server: EmbeddedPostgres) -> str:
    return asyncio.run(migrated_database(postgres_server))


@pytest.fixture(scope="module")
def pooler(direct_url: str) -> Iterator[PgBouncer]:
    folder = Path(tempfile.mkdtemp(prefix="yabam-pgbouncer-"))
    folder.chmod(0o777)
    pooler = PgBouncer(folder, direct_url, CONNECTIONS)
    pooler.start()
    yield pooler
    pooler.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def process(
    pooler: PgBouncer, direct_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CoreService]:
    settings = {"YABAM_SESSION_DATABASE_URL": direct_url, **LOOPBACK}
    service = CoreService.start(pooler.url, tmp_path_factory.mktemp("core"), settings)
    yield service
    service.stop()


@pytest.fixture
async def core(process: CoreService) -> AsyncIterator[CoreService]:
    service = CoreService.over(process.database, process.stack)
    async with service.client:
        yield service


async def test_many_syncs_and_writes_at_once_get_their_own_answers(core: CoreService) -> None:
    stores = [new_store() for _ in range(20)]

    async def use(store: str) -> None:
        owner = bearer(token("owner", store))
        for n in range(5):
            placed = await core.client.post(
                "/v1/orders",
                json=an_order(store),
                headers=owner | {"idempotency-key": f"{store}-{n}"},
            )
            assert placed.status_code == 201, placed.text
            asked = {"channel": f"store:{store}"}
            synced = await core.client.get("/v1/sync", params=asked, headers=owner)
            (channel,) = synced.json()["channels"]
            assert (channel["channel"], channel["head"]) == (f"store:{store}", n + 1)
            assert {order["store_id"] for order in channel["snapshot"]["orders"]} == {store}

    await asyncio.gather(*map(use, stores))


async def test_a_waiting_sync_is_woken_by_a_commit_of_another_process(
    core: CoreService, direct_url: str
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    asked = {"channel": f"store:{store}", "wait": "20"}
    first = (await core.client.get("/v1/sync", params=asked, headers=owner)).json()
    pool = await open_pool(direct_url, size=1, command_timeout_s=10, name="another")
    try:
        waiting = asyncio.create_task(
            core.client.get(
                "/v1/sync",
                params=asked | {"lastEventId": first["cursor"], "epoch": first["epoch"]},
                headers=owner,
            )
        )
        await place(commands(pool), store)
        (channel,) = (await waiting).json()["channels"]
        assert channel["head"] == 1
    finally:
        pool.terminate()


async def test_a_relay_works_through_it(
    pooler: PgBouncer, direct_url: str, embedded_broker: EmbeddedBroker, topic: str
) -> None:
    pool = await open_pool(pooler.url, size=4, command_timeout_s=10, name="relay", is_pooled=True)
    direct = await open_pool(direct_url, size=1, command_timeout_s=10, name="writer")
    store, bootstrap = new_store(), embedded_broker.bootstrap
    try:
        async with (
            started(pool, direct_url, bootstrap, topic),
            followed(bootstrap, topic) as seen,
        ):
            for _ in range(3):
                await place(commands(direct), store, table=None)
            await seen.until(lambda: seen.heads.get(f"store:{store}") == 3, 60)
    finally:
        pool.terminate()
        direct.terminate()


async def test_webhooks_are_sent_through_it(core: CoreService) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    sender = add_sender(core.stack, free_port(), "webhooks")
    async with Receiver() as receiver:
        wanted = {"url": receiver.url, "stores": [store]}
        added = await core.client.post("/v1/webhooks", json=wanted, headers=owner)
        assert added.status_code == 201, added.text
        receiver.secret = added.json()["secret"]
        sender.start()
        try:
            await asyncio.to_thread(sender.wait_ready, 60)
            placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
            assert placed.status_code == 201, placed.text
            await receiver.until(lambda r: r.seqs(f"store:{store}") == [1])
        finally:
            sender.kill()


async def test_the_pooler_sets_what_a_session_of_ours_would_set(pooler: PgBouncer) -> None:
    pool = await open_pool(pooler.url, size=1, command_timeout_s=10, name="look", is_pooled=True)
    try:
        for name in ("jit", "enable_seqscan"):
            assert await pool.fetchval(f"SELECT current_setting('{name}')") == "off"
    finally:
        pool.terminate()


async def test_a_pooler_that_is_not_named_as_one_is_told_of_at_once(pooler: PgBouncer) -> None:
    pool = await open_pool(pooler.url, size=1, command_timeout_s=10, name="unnamed")
    try:
        with pytest.raises((UnavailableError, asyncpg.PostgresError), match="startup parameter"):
            await check_database(pool)
    finally:
        pool.terminate()


async def test_a_phone_is_told_through_it(core: CoreService) -> None:
    store, port = new_store(), free_port()
    owner = bearer(token("owner", store))
    settings = {"YABAM_WEBHOOKS_PORT": str(port), "YABAM_PUSH_AFTER_S": "2"}
    sender = core.stack.add_command("pushes", ["webhooks"], port, settings)
    async with PushService(PushKeys(KEYS.push, "https://yabam.example").public) as service:
        subscribed = await core.client.put(
            f"/v1/stores/{store}/pushes/phone",
            json=msgspec.to_builtins(service.browser().subscription),
            headers=owner,
        )
        assert subscribed.status_code == 204, subscribed.text
        sender.start()
        try:
            await asyncio.to_thread(sender.wait_ready, 60)
            placed = await core.client.post("/v1/orders", json=an_order(store), headers=owner)
            assert placed.status_code == 201, placed.text
            await service.until(lambda s: len(s.taken) == 1)
        finally:
            sender.kill()


async def test_ingest_applies_commands_and_what_devices_say_through_it(
    core: CoreService, embedded_broker: EmbeddedBroker
) -> None:
    store, port = new_store(), free_port()
    owner = bearer(token("owner", store))
    made = await core.client.put(f"/v1/stores/{store}/devices/bell", json={}, headers=owner)
    assert made.status_code in (200, 201), made.text
    topics = {
        f"YABAM_{name}_TOPIC": f"{name.lower()}-{store}"
        for name in ("INBOUND", "INBOUND_DLQ", "DEVICES_INBOUND", "DEVICES_OUTBOUND", "DEVICES_DLQ")
    }
    settings = {"YABAM_KAFKA": embedded_broker.bootstrap, "YABAM_INGEST_PORT": str(port)} | topics
    ingest = core.stack.add_command("pooled-ingest", ["ingest"], port, settings)
    command = {
        "command": "place", "idempotency_key": store, "subject": "till", "body": an_order(store),
    }  # fmt: skip
    press = b'{"boot": 1, "n": 1, "name": "pressed"}'
    said = Inbound(store, "bell", "event", time.time_ns() // 1_000_000, msgspec.Raw(press))
    ingest.start()
    producer = AIOKafkaProducer(bootstrap_servers=embedded_broker.bootstrap, acks="all")
    try:
        await asyncio.to_thread(ingest.wait_ready, 60)
        await producer.start()
        await producer.send_and_wait(
            topics["YABAM_INBOUND_TOPIC"], msgspec.json.encode(command), store.encode()
        )
        await producer.send_and_wait(topics["YABAM_DEVICES_INBOUND_TOPIC"], encode(said), said.key)
        await until_head(core, f"store:{store}", owner)
        await until_head(core, f"device:{store}/bell", owner)
    finally:
        await producer.stop()
        ingest.kill()


async def until_head(core: CoreService, channel: str, headers: dict[str, str]) -> None:
    """Return once something has happened in the channel."""
    async with asyncio.timeout(60):
        while True:
            asked = {"channel": channel, "lastEventId": f"{channel}@0", "wait": "20"}
            answer = await core.client.get("/v1/sync", params=asked, headers=headers)
            if answer.json()["channels"][0]["head"]:
                return
