"""What devices say they have applied between their syncs, and which devices have an order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from client_sdk.contract.device import MAX_SEEN_ORDERS, DeviceReport
from core_api.kafka.topics import ensure_topics, receipts_topic
from core_api.receipts.devices import DeviceLog, Sighting, receipt_of
from core_api.receipts.from_kafka import ReceiptReader
from core_api.receipts.reached import trim_reached
from core_api.receipts.receipts_lag import ReceiptsLag
from core_api.receipts.statements import list_devices, store_sightings
from server_common.kafka_records.receipts import Receipt, ReceiptBatch, encode_receipts
from server_common.supervision import Supervisor
from tests.integration.core_api.relaying import commands, place
from tests.integration.core_api.test_devices import devices, place_some, sync
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool


async def epoch_of(core: CoreService, store: str) -> str:
    headers = bearer(token("owner", store))
    answer = await core.client.get(f"/v1/sync?channel=store:{store}", headers=headers)
    epoch: str = answer.json()["epoch"]
    return epoch


async def say(
    core: CoreService,
    store: str,
    cursor: str,
    *,
    role: str = "owner",
    changes: dict[str, Any] | None = None,
) -> tuple[int, Any]:
    """Send receipts; the status and the answer."""
    body = {"cursor": cursor, "epoch": await epoch_of(core, store)} | (changes or {})
    headers = bearer(token(role, store), yabam_device="till-1; mode=live; pending=0")  # type: ignore[arg-type]
    answer = await core.client.post("/v1/receipts", json=body, headers=headers)
    return answer.status_code, answer.json()


class TestOverHttp:
    async def test_move_the_device_without_a_sync(self, core: CoreService) -> None:
        store = new_store()
        await place_some(core, store, 3)
        assert await say(core, store, f"store:{store}@2") == (200, {"taken": 1})
        (device,) = await devices(core, store)
        assert (device["device"], device["cursor"], device["lag"]) == (
            "till-1",
            f"store:{store}@2",
            1,
        )

    async def test_never_take_back_what_was_applied(self, core: CoreService) -> None:
        store = new_store()
        await place_some(core, store, 3)
        for seq in (3, 1):
            await say(core, store, f"store:{store}@{seq}")
            assert (await devices(core, store))[0]["lag"] == 0

    async def test_beyond_the_head_prove_nothing(self, core: CoreService) -> None:
        store = new_store()
        await place_some(core, store, 2)
        await say(core, store, f"store:{store}@9")
        assert (await devices(core, store))[0]["lag"] == 2

    async def test_of_another_epoch_are_left_out(self, core: CoreService) -> None:
        store = new_store()
        await place_some(core, store, 1)
        await say(core, store, f"store:{store}@1")
        await say(core, store, f"store:{store}@1", changes={"epoch": "00OLD"})
        assert (await devices(core, store))[0]["lag"] == 0

    async def test_of_other_stores_and_other_channels_count_for_nothing(
        self, core: CoreService
    ) -> None:
        store, other = new_store(), new_store()
        taken = await say(core, store, f"table:{store}/5@0,public:{store}@0")
        assert taken == (200, {"taken": 0})
        assert (await say(core, store, f"store:{other}@0"))[0] == 403
        assert await devices(core, other) == []

    async def test_of_whom_is_no_owner_count_for_nothing(self, core: CoreService) -> None:
        store = new_store()
        assert (await say(core, store, f"store:{store}@0", role="ops"))[0] == 403

    @pytest.mark.parametrize(
        ("body", "status", "problem"),
        [
            ({"cursor": "nonsense"}, 400, "bad-cursor"),
            ({"epoch": "a b"}, 422, "invalid"),
            ({"cursor": 7}, 422, "invalid"),
        ],
    )
    async def test_that_make_no_sense_are_refused(
        self, core: CoreService, body: dict[str, Any], status: int, problem: str
    ) -> None:
        answer = await say(core, new_store(), "store:1@0", changes=body)
        assert (answer[0], answer[1]["type"].rpartition(":")[2]) == (status, problem)

    async def test_without_a_device_are_refused_with_the_headers_form(
        self, core: CoreService
    ) -> None:
        body = {"cursor": "store:1@0", "epoch": "E"}
        headers = bearer(token("owner", "1"))
        answer = await core.client.post("/v1/receipts", json=body, headers=headers)
        assert answer.status_code == 400
        assert "Yabam-Device" in answer.json()["detail"]


class TestTheTicket:
    async def ticket(self, core: CoreService, role: str, **more: str) -> Any:
        store = new_store()
        answer = await core.client.get(
            f"/v1/sync?channel=store:{store}",
            headers=bearer(token(role, store), **more),  # type: ignore[arg-type]
        )
        text = answer.json()["stream"]["ticket"]
        return core.tickets.verify(text, 0.0)

    async def test_names_the_device_of_an_owner(self, core: CoreService) -> None:
        about = "till-1; mode=live; pending=0"
        assert (await self.ticket(core, "owner", yabam_device=about)).device == "till-1"

    async def test_names_no_device_of_others(self, core: CoreService) -> None:
        about = "till-1; mode=live; pending=0"
        assert (await self.ticket(core, "ops", yabam_device=about)).device == ""


class TestWhichDevicesHaveAnOrder:
    async def holders(self, core: CoreService, store: str, order: str) -> dict[str, str]:
        answer = await core.client.get(
            f"/v1/orders/{order}/devices", headers=bearer(token("owner", store))
        )
        assert answer.status_code == 200, answer.text
        return {one["device"]: one["state"] for one in answer.json()["devices"]}

    async def test_those_that_said_so_those_that_follow_and_those_that_do_not(
        self, core: CoreService
    ) -> None:
        store = new_store()
        await place_some(core, store, 1)
        placed = await core.client.post(
            "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
        )
        await sync(core, store, 2, DeviceReport("has-it", "live", 0))
        await sync(core, store, 1, DeviceReport("follows", "live", 0))
        await sync(core, store, 1, DeviceReport("away", "offline", 0))
        assert await self.holders(core, store, placed.json()["id"]) == {
            "has-it": "received",
            "follows": "sent",
            "away": "waiting",
        }

    async def test_is_shown_to_nobody_but_the_owner_and_ops(self, core: CoreService) -> None:
        store = new_store()
        placed = await core.client.post(
            "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
        )
        url = f"/v1/orders/{placed.json()['id']}/devices"
        for role, status in (("ops", 200), ("producer", 403)):
            headers = bearer(token(role, store))  # type: ignore[arg-type]
            assert (await core.client.get(url, headers=headers)).status_code == status
        headers = bearer(token("owner", new_store()))
        assert (await core.client.get(url, headers=headers)).status_code == 404


class TestWhatWasShown:
    async def say(self, core: CoreService, store: str, *orders: str, role: str = "owner") -> Any:
        about = "till-1; mode=live; pending=0"
        headers = bearer(token(role, store), yabam_device=about)  # type: ignore[arg-type]
        body = {"orders": list(orders)}
        return await core.client.post("/v1/orders/seen", json=body, headers=headers)

    async def placed(self, core: CoreService, store: str) -> str:
        answer = await core.client.post(
            "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
        )
        order: str = answer.json()["id"]
        return order

    async def till(self, core: CoreService, store: str, order: str) -> tuple[str, str | None]:
        """Its state, and when it showed the order."""
        headers = bearer(token("owner", store))
        answer = await core.client.get(f"/v1/orders/{order}/devices", headers=headers)
        (one,) = answer.json()["devices"]
        return one["state"], one["seen_at"]

    async def test_stands_beside_the_order_from_the_first_time_on(self, core: CoreService) -> None:
        store = new_store()
        order = await self.placed(core, store)
        await sync(core, store, 1, DeviceReport("till-1", "live", 0))
        assert await self.till(core, store, order) == ("received", None)
        assert (await self.say(core, store, order)).json() == {"taken": 1}
        state, first = await self.till(core, store, order)
        assert state == "seen"
        assert (await self.say(core, store, order)).json() == {"taken": 1}
        assert await self.till(core, store, order) == ("seen", first)

    async def test_counts_for_orders_of_ones_own_stores_only(self, core: CoreService) -> None:
        store, other = new_store(), new_store()
        theirs = await self.placed(core, other)
        assert (await self.say(core, store, theirs, str(uuid4()))).status_code == 404
        own = await self.placed(core, store)
        assert (await self.say(core, store, theirs, own)).json() == {"taken": 1}
        await sync(core, other, 1, DeviceReport("till-1", "live", 0))
        assert await self.till(core, other, theirs) == ("received", None)

    async def test_of_whom_is_no_owner_is_refused(self, core: CoreService) -> None:
        store = new_store()
        order = await self.placed(core, store)
        assert (await self.say(core, store, order, role="ops")).status_code == 403

    async def test_must_name_some_orders_and_not_too_many(self, core: CoreService) -> None:
        store = new_store()
        assert (await self.say(core, store)).status_code == 422
        assert (await self.say(core, store, "7")).status_code == 422
        many = [str(uuid4()) for _ in range(MAX_SEEN_ORDERS + 1)]
        assert (await self.say(core, store, *many)).status_code == 422

    async def test_is_forgotten_with_the_log(self, pool: Pool) -> None:
        old, new = uuid4(), uuid4()
        for order, days in ((old, 8), (new, 6)):
            await pool.execute(
                "INSERT INTO orders_reached VALUES ($1, 'till-1', 'seen', now() - $2::interval)",
                order,
                timedelta(days=days),
            )
        while await trim_reached(pool, 7 * 86_400.0, 1):
            pass
        left = await pool.fetch(
            "SELECT order_id FROM orders_reached WHERE order_id = ANY($1::uuid[])", [old, new]
        )
        assert [row[0] for row in left] == [new]


async def test_a_late_receipt_never_takes_a_device_back(pool: Pool) -> None:
    on = commands(pool)
    await place(on, "12")
    await place(on, "12")
    epoch = await pool.fetchval("SELECT epoch FROM epoch")
    await store_sightings(pool, [Sighting("12", "till-1", "till", "live", epoch, 2)])
    await store_sightings(pool, [receipt_of("12", "till-1", "till", epoch, 1)])
    (device,) = await list_devices(pool, "12", 9)
    assert device.cursor == "store:12@2"


async def test_receipts_in_kafka_are_stored_and_what_is_not_stored_yet_counts_as_lag(
    pool: Pool, bootstrap: str, topic: str
) -> None:
    await place(commands(pool), "12")
    epoch = await pool.fetchval("SELECT epoch FROM epoch")
    name, group = f"{topic}.receipts", f"{topic}.group"
    devices_log = DeviceLog(
        lambda batch: store_sightings(pool, batch), lambda store_id: list_devices(pool, store_id, 9)
    )
    left_out: list[int] = []
    reader = ReceiptReader(bootstrap, [receipts_topic(name)], devices_log, left_out.append, group)
    lag = ReceiptsLag(bootstrap, name, group)
    await ensure_topics(bootstrap, [receipts_topic(name)], 10.0)
    supervisor = Supervisor()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        refused = Receipt("till-2", "\0", epoch, 1)
        batch = ReceiptBatch("12", [refused, Receipt("till-1", "till", epoch, 1)])
        await producer.send_and_wait(name, b"nonsense", b"12")
        await producer.send_and_wait(name, encode_receipts(batch), b"12")
        assert not await lag.lags(), "it was not there when the alarm looked last"
        assert await lag.lags()
        supervisor.start("receipts", reader.run, essential=False)
        async with asyncio.timeout(60):
            while await lag.lags():  # noqa: ASYNC110 (Kafka tells nobody)
                await asyncio.sleep(0.1)
        (device,) = await list_devices(pool, "12", 9)
        assert (device.device, device.lag) == ("till-1", 0)
        assert sum(left_out) == 2
    finally:
        await supervisor.stop()
        await lag.close()
        await producer.stop()


async def test_a_kafka_that_does_not_answer_counts_as_lag() -> None:
    lag = ReceiptsLag("127.0.0.1:1", "receipts", "group")
    assert await lag.lags()
    await lag.close()
