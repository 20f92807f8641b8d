"""Has anybody received it? Devices report at each sync; an order that reaches nobody is told of."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import CollectorRegistry

from client_sdk import OrderClient, Reset
from client_sdk.contract.device import DeviceReport, format_device
from core_api.access.callers import Caller
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError, alerts_topic
from core_api.orders.lifecycle import Transition
from core_api.receipts.alarm import AlarmSettings, ReceiptAlarm
from core_api.receipts.devices import DeviceLog, Sighting
from core_api.receipts.metrics import AlarmMetrics
from core_api.receipts.statements import list_devices, store_sightings
from tests.integration.core_api.relaying import commands, place
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

OWNER = Caller("till", "owner", frozenset({"*"}))


async def devices(core: CoreService, store: str) -> list[dict[str, Any]]:
    response = await core.client.get(
        f"/v1/stores/{store}/devices", headers=bearer(token("owner", store))
    )
    assert response.status_code == 200, response.text
    listed: list[dict[str, Any]] = response.json()["devices"]
    return listed


async def sync(core: CoreService, store: str, seq: int | None, report: DeviceReport) -> int:
    parameters = {"channel": f"store:{store}"} | ({} if seq is None else {"lastEventId": str(seq)})
    headers = bearer(token("owner", store), yabam_device=format_device(report))
    return (await core.client.get("/v1/sync", params=parameters, headers=headers)).status_code


async def place_some(core: CoreService, store: str, count: int) -> None:
    for _ in range(count):
        response = await core.client.post(
            "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
        )
        assert response.status_code == 201


async def test_a_store_nobody_has_synced_has_no_devices(core: CoreService) -> None:
    assert await devices(core, new_store()) == []


async def test_a_sync_shows_the_device_its_cursor_and_its_lag(core: CoreService) -> None:
    store = new_store()
    await place_some(core, store, 3)
    await sync(core, store, 2, DeviceReport("till-1", "live", 0))
    (device,) = await devices(core, store)
    assert (device["device"], device["mode"]) == ("till-1", "live")
    assert (device["cursor"], device["lag"]) == (f"store:{store}@2", 1)


async def test_what_waits_in_the_device_does_not_count_as_applied(core: CoreService) -> None:
    store = new_store()
    await place_some(core, store, 3)
    await sync(core, store, 3, DeviceReport("till-1", "polling", 2))
    (device,) = await devices(core, store)
    assert (device["cursor"], device["lag"]) == (f"store:{store}@1", 2)


async def test_a_cursor_beyond_the_head_is_not_taken_as_applied(core: CoreService) -> None:
    store = new_store()
    await place_some(core, store, 2)
    for ahead in (3, 2**63 - 1):
        await sync(core, store, ahead, DeviceReport("till-1", "live", 0))
        (device,) = await devices(core, store)
        assert (device["cursor"], device["lag"]) == (f"store:{store}@0", 2)
    await place_some(core, store, 2)
    assert (await devices(core, store))[0]["lag"] == 4, "nor later, when the head has passed it"


@pytest.mark.parametrize("epoch", ["%00", "a%00", "%ED%A0%80", "a%20b", "e" * 65])
async def test_a_malformed_epoch_is_refused_and_ends_nothing(core: CoreService, epoch: str) -> None:
    store = new_store()
    owner = bearer(token("owner", store), yabam_device="till-1; mode=live; pending=0")
    sync_of = f"/v1/sync?channel=store:{store}&lastEventId=0&epoch="
    answer = await core.client.get(sync_of + epoch, headers=owner)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:yabam:problem:bad-request")
    body = {"channels": {f"store:{store}": 0}, "epoch": "\0"}
    assert (await core.client.post("/v1/sync", json=body, headers=owner)).status_code == 400
    assert await devices(core, store) == []  # which stores what has come
    assert core.stack.core.running


async def test_a_report_that_the_database_refuses_harms_no_other(pool: Pool) -> None:
    """No door lets such a text in; if one did, it would harm only itself."""
    dropped: list[None] = []
    log = DeviceLog(
        lambda batch: store_sightings(pool, batch),
        lambda store_id: list_devices(pool, store_id, 100),
        lambda: dropped.append(None),
    )
    bad = ["a\0", "\ud800"]
    for device in ["till-1", "till-2", *bad, "till-3"]:
        log.saw([Sighting("12", device, "till", "live", None, 0)])
    listed = await log.of_store("12")
    assert {device.device for device in listed} == {"till-1", "till-2", "till-3"}
    assert len(dropped) == len(bad)


async def test_a_sync_without_a_cursor_does_not_take_back_what_was_applied(
    core: CoreService,
) -> None:
    store = new_store()
    await place_some(core, store, 1)
    await sync(core, store, 1, DeviceReport("till-1", "live", 0))
    assert (await devices(core, store))[0]["lag"] == 0
    await sync(core, store, None, DeviceReport("till-1", "starting", 0))
    (device,) = await devices(core, store)
    assert (device["mode"], device["lag"]) == ("starting", 0)


async def test_the_sdk_reports_what_its_program_has_handled(core: CoreService) -> None:
    store = new_store()
    await place_some(core, store, 1)
    url = str(core.client.base_url)
    client = OrderClient(url, token("owner", store), [f"store:{store}"], device="till-7")
    async with client:
        change = await anext(client.events())
        assert isinstance(change, Reset)
    (device,) = await devices(core, store)
    assert device["device"] == "till-7"


async def divergences(core: CoreService) -> float:
    text = (await core.client.get("/metrics", headers=bearer(token("ops")))).text
    (line,) = [one for one in text.splitlines() if one.startswith("yabam_core_divergences_total")]
    return float(line.rpartition(" ")[2])


async def test_a_client_whose_orders_differ_takes_them_anew_and_core_counts_it(
    core: CoreService, db: asyncpg.Connection[asyncpg.Record]
) -> None:
    store = new_store()
    await place_some(core, store, 1)
    before = await divergences(core)
    url = str(core.client.base_url)
    client = OrderClient(url, token("owner", store), [f"store:{store}"], device="till-7")
    async with client:
        changes = client.events()
        first = await anext(changes)
        assert isinstance(first, Reset)
        await db.execute(
            "UPDATE channel_heads SET digest = digest # 1 WHERE channel = $1", f"store:{store}"
        )
        again = await anext(changes)
        assert isinstance(again, Reset)
        assert again.reason == "digest"
    assert await divergences(core) == before + 1


async def test_no_more_divergences_are_counted_than_there_are_channels(core: CoreService) -> None:
    store = new_store()
    before = await divergences(core)
    await sync(core, store, None, DeviceReport("till-1", "live", 0, diverged=500))
    assert await divergences(core) == before + 1


@pytest.mark.parametrize(
    "value", ["", "till 1; mode=live; pending=0", "till-1", "a; mode=x; pending=0"]
)
async def test_a_malformed_header_is_refused_with_its_form(core: CoreService, value: str) -> None:
    store = new_store()
    response = await core.client.get(
        "/v1/sync",
        params={"channel": f"store:{store}"},
        headers=bearer(token("owner", store), yabam_device=value),
    )
    assert response.status_code == 400
    assert "till-1; mode=live; pending=0" in response.json()["detail"]


async def test_a_store_of_somebody_else_shows_no_devices(core: CoreService) -> None:
    response = await core.client.get(
        f"/v1/stores/{new_store()}/devices", headers=bearer(token("owner", "another"))
    )
    assert response.status_code == 403


@pytest.fixture
async def alerts(bootstrap: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """What is told, read from the start."""
    publisher = KafkaPublisher(bootstrap, alerts_topic(f"{topic}.alerts"))
    await publisher.open()
    await publisher.close()
    consumer = AIOKafkaConsumer(
        f"{topic}.alerts", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


class Receipts:
    """Receipts that lag, or do not."""

    def __init__(self) -> None:
        self.lagging = False

    async def lags(self) -> bool:
        return self.lagging

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def watching(
    pool: Pool,
    bootstrap: str,
    topic: str,
    *,
    received: float = 9_999.0,
    accepted: float = 9_999.0,
    receipts: Receipts | None = None,
) -> AsyncIterator[ReceiptAlarm]:
    """A watch over this database; times in seconds."""
    publisher = KafkaPublisher(bootstrap, alerts_topic(f"{topic}.alerts"))
    metrics = AlarmMetrics(CollectorRegistry())
    settings = AlarmSettings(received, accepted, 1.0)
    watch = receipts or Receipts()
    try:
        yield ReceiptAlarm(pool, publisher, metrics, settings, lambda: 1_700_000_000_000, watch)
    finally:
        await publisher.close()


async def next_alert(alerts: AIOKafkaConsumer) -> dict[str, Any]:
    async with asyncio.timeout(20):
        record = await alerts.getone()
    assert record.value is not None
    decoded: dict[str, Any] = json.loads(record.value)
    return decoded


async def silent(alerts: AIOKafkaConsumer) -> bool:
    return not await alerts.getmany(timeout_ms=500)


async def has_applied(pool: Pool, store: str, seq: int) -> None:
    await store_sightings(pool, [Sighting(store, "till-1", "till", "live", None, seq)])


async def test_an_order_that_no_device_has_is_told_of_once(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    order_id = await place(commands(pool), "12")
    async with watching(pool, bootstrap, topic, received=0.0) as reach:
        await reach.look()
        alert = await next_alert(alerts)
        assert (alert["type"], alert["kind"]) == ("store.unreached", "unreceived")
        assert (alert["store_id"], alert["order_id"]) == ("12", str(order_id))
        await reach.look()
    assert await silent(alerts)


async def test_what_is_told_of_is_read_page_by_page(
    pool: Pool,
    bootstrap: str,
    topic: str,
    alerts: AIOKafkaConsumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core_api.kafka.alerts.PAGE", 2)
    placed = {str(await place(commands(pool), "12")) for _ in range(5)}
    async with watching(pool, bootstrap, topic, received=0.0, accepted=0.0) as reach:
        await reach.look()
        told = [await next_alert(alerts) for _ in range(10)]
    for kind in ("unreceived", "unaccepted"):
        assert {one["order_id"] for one in told if one["kind"] == kind} == placed
    assert await pool.fetchval("SELECT count(*) FROM unreached WHERE told_at IS NULL") == 0
    assert await silent(alerts)


async def test_an_order_that_a_device_has_is_not_told_of(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    await place(commands(pool), "12")
    await has_applied(pool, "12", 1)
    async with watching(pool, bootstrap, topic, received=0.0) as reach:
        await reach.look()
    assert await silent(alerts)


async def test_only_what_lies_beyond_the_best_device_is_told_of(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    on = commands(pool)
    await place(on, "12")
    await has_applied(pool, "12", 1)
    second = await place(on, "12")
    async with watching(pool, bootstrap, topic, received=0.0) as reach:
        await reach.look()
    assert (await next_alert(alerts))["order_id"] == str(second)
    assert await silent(alerts)


async def test_an_order_that_nobody_accepts_is_told_of_until_somebody_does(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    on = commands(pool)
    order_id = await place(on, "12")
    await has_applied(pool, "12", 1)
    async with watching(pool, bootstrap, topic, accepted=0.0) as reach:
        await reach.look()
        assert (await next_alert(alerts))["kind"] == "unaccepted"
        assert await pool.fetchval("SELECT count(*) FROM unreached") == 1
        await on.transition(OWNER, str(order_id), Transition("accepted"))
        await reach.look()
    assert await pool.fetchval("SELECT count(*) FROM unreached") == 0


async def test_what_kafka_did_not_take_is_told_of_later(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    await place(commands(pool), "12")
    async with watching(pool, "127.0.0.1:1", topic, received=0.0) as reach:
        with pytest.raises(BrokerError):
            await reach.look()
    async with watching(pool, bootstrap, topic, received=0.0) as reach:
        await reach.look()
    assert (await next_alert(alerts))["kind"] == "unreceived"


async def test_while_receipts_lag_no_order_is_told_of_as_unreceived(
    pool: Pool, bootstrap: str, topic: str, alerts: AIOKafkaConsumer
) -> None:
    receipts = Receipts()
    order_id = await place(commands(pool), "12")
    async with watching(pool, bootstrap, topic, received=0.0, receipts=receipts) as reach:
        receipts.lagging = True
        await reach.look()
        assert await pool.fetchval("SELECT count(*) FROM unreached") == 0
        receipts.lagging = False
        await reach.look()
        assert (await next_alert(alerts))["order_id"] == str(order_id)
        receipts.lagging = True
        await reach.look()
        assert await pool.fetchval("SELECT count(*) FROM unreached") == 1, "it is not resolved"
    assert await silent(alerts)
