"""Snapshots in pages: a channel with thousands of open orders, while writers go on."""

from __future__ import annotations

import asyncio
import random
from typing import TypeAlias

import asyncpg
import httpx
import pytest

from client_sdk.contract.digest import EMPTY, format_digest, order_hash
from client_sdk.contract.order import Order
from client_sdk.contract.sync import ChannelSync, SyncResponse, decode_sync
from client_sdk.errors import RefusedError
from client_sdk.machine.messages import StartSync, SyncDone, SyncFailed
from client_sdk.transport.http_transport import Transport
from core_api.restore.main import begin_epoch
from core_api.settings import RestoreSettings
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

Db: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OPEN = 5000
PAGE = 1000


async def fill(core: CoreService, store: str, count: int, table: str | None = "5") -> None:
    """Place so many orders, a hundred at a time."""
    headers = bearer(token("producer", store))
    for start in range(0, count, 100):
        items = [{"order": an_order(store, table)} for _ in range(min(100, count - start))]
        done = await core.client.post("/v1/orders/batch", json={"items": items}, headers=headers)
        assert done.status_code == 200
        assert {item["status"] for item in done.json()["results"]} == {201}


async def sync(core: CoreService, store: str, **parameters: str | int) -> SyncResponse:
    response = await core.client.get(
        "/v1/sync", params=parameters, headers=bearer(token("owner", store))
    )
    assert response.status_code == 200, response.text
    return decode_sync(response.content)


class Reader:
    """A client that reads pages one by one, so that a test can do things in between."""

    def __init__(self, core: CoreService, store: str, channel: str) -> None:
        self.core = core
        self.store = store
        self.channel = channel
        self.orders: dict[str, Order] = {}
        self.head = 0
        self.next: str | None = None

    async def begin(self, limit: int = PAGE) -> ChannelSync:
        """The first page."""
        return self._take(await sync(self.core, self.store, channel=self.channel, orders=limit))

    async def go_on(self, limit: int = PAGE) -> ChannelSync:
        """A further page."""
        assert self.next is not None
        return self._take(await sync(self.core, self.store, page=self.next, orders=limit))

    def _take(self, response: SyncResponse) -> ChannelSync:
        (answer,) = response.channels
        assert answer.snapshot is not None
        if answer.reset is not None:
            self.orders.clear()
        assert not {order.id for order in answer.snapshot.orders} & set(self.orders)
        self.orders |= {order.id: order for order in answer.snapshot.orders}
        self.head, self.next = answer.snapshot.head, answer.snapshot.next
        if self.next is not None:
            assert (response.cursor, response.has_more, response.stream) == ("", True, None)
        return answer

    async def catch_up(self) -> ChannelSync:
        """Apply the events after the snapshot's head, to the newest."""
        while True:
            position = f"{self.channel}@{self.head}"
            response = await sync(self.core, self.store, lastEventId=position, limit=1000)
            (answer,) = response.channels
            assert answer.reset is None
            for event in answer.events:
                assert event.seq == self.head + 1
                self.head = event.seq
                if event.data.is_open:
                    self.orders[event.data.id] = event.data
                else:
                    self.orders.pop(event.data.id, None)
            if not response.has_more:
                return answer

    def digest(self) -> str:
        """Of what it holds."""
        digest = EMPTY
        for order in self.orders.values():
            digest ^= order_hash(order.id, order.version)
        return format_digest(digest)


async def write_on(core: CoreService, store: str, done: asyncio.Event) -> int:
    """Place, step, change and cancel orders of the store until told to stop; how often."""
    chance = random.Random(7)
    headers = bearer(token("owner", store))
    written = 0
    known: list[str] = []
    found = await core.client.get("/v1/sync", params={"channel": f"store:{store}"}, headers=headers)
    known += [order["id"] for order in found.json()["channels"][0]["snapshot"]["orders"]]
    while not done.is_set():
        order_id = chance.choice(known)
        path = f"/v1/orders/{order_id}"
        match chance.randrange(4):
            case 0:
                response = await core.client.post(
                    "/v1/orders", json=an_order(store, "5"), headers=headers
                )
                known.append(response.json()["id"])
            case 1:
                response = await core.client.patch(
                    path, json={"note": f"n{written}"}, headers=headers
                )
            case choice:
                to = "accepted" if choice == 2 else "cancelled"
                response = await core.client.post(
                    f"{path}/transitions", json={"to": to}, headers=headers
                )
        assert response.status_code in (200, 201, 409), response.text
        written += 1
    return written


@pytest.mark.parametrize("kind", ["store", "table"])
async def test_5000_open_orders_come_in_pages_while_writers_go_on(
    core: CoreService, kind: str
) -> None:
    store = new_store()
    await fill(core, store, OPEN)
    reader = Reader(core, store, f"store:{store}" if kind == "store" else f"table:{store}/5")
    done = asyncio.Event()
    writers = [asyncio.create_task(write_on(core, store, done)) for _ in range(4)]
    first = await reader.begin()
    assert first.reset == "first_sync"
    began_at, pages = reader.head, 1
    while reader.next is not None:
        page = await reader.go_on()
        assert page.reset is None
        assert reader.head == began_at, "every page is true at the head of the first"
        assert page.snapshot is not None
        assert len(page.snapshot.orders) <= PAGE
        pages += 1
    assert pages >= OPEN // PAGE
    done.set()
    assert sum(await asyncio.gather(*writers)) > 0
    newest = await reader.catch_up()
    assert reader.head == newest.head > began_at, "the writers were not kept from writing"
    assert reader.digest() == newest.digest


async def test_what_changes_between_two_pages_is_brought_by_the_events_after_them(
    core: CoreService,
) -> None:
    store = new_store()
    await fill(core, store, 6)
    reader = Reader(core, store, f"store:{store}")
    await reader.begin(2)
    whole = await sync(core, store, channel=f"store:{store}")
    assert whole.channels[0].snapshot is not None
    ids = [order.id for order in whole.channels[0].snapshot.orders]
    headers = bearer(token("owner", store))
    for order_id, to in ((ids[0], "accepted"), (ids[3], "accepted"), (ids[4], "cancelled")):
        path = f"/v1/orders/{order_id}/transitions"
        assert (await core.client.post(path, json={"to": to}, headers=headers)).status_code == 200
    while reader.next is not None:
        await reader.go_on(2)
    assert set(reader.orders) == {ids[0], ids[1], ids[2], ids[5]}, "as they stood at the head"
    newest = await reader.catch_up()
    assert reader.digest() == newest.digest
    assert set(reader.orders) == {*ids} - {ids[4]}


async def test_a_client_that_does_not_ask_for_pages_gets_the_snapshot_whole(
    core: CoreService,
) -> None:
    store = new_store()
    await fill(core, store, 1200)
    response = await sync(core, store, channel=f"store:{store}")
    (answer,) = response.channels
    assert answer.snapshot is not None
    assert (len(answer.snapshot.orders), answer.snapshot.next) == (1200, None)
    assert (response.cursor, response.has_more) == (f"store:{store}@1200", False)


async def test_a_page_that_retention_has_overtaken_starts_the_snapshot_anew(
    core: CoreService, db: Db
) -> None:
    store = new_store()
    await fill(core, store, 6)
    reader = Reader(core, store, f"store:{store}")
    await reader.begin(2)
    await fill(core, store, 2)
    await db.execute("UPDATE channel_heads SET floor = 7 WHERE channel = $1", reader.channel)
    answer = await reader.go_on(4)
    assert (answer.reset, reader.head) == ("retention", 8)


async def test_a_page_of_another_epoch_or_beyond_the_head_starts_the_snapshot_anew(
    core: CoreService,
) -> None:
    store = new_store()
    await fill(core, store, 3)
    reader = Reader(core, store, f"store:{store}")
    await reader.begin(2)
    begun = reader.next
    assert begun is not None
    reader.next = begun.replace("@3~", "@4~")
    assert (await reader.go_on(2)).reset == "ahead"
    await begin_epoch(RestoreSettings.model_validate({"database_url": core.database}))
    reader.next, reader.orders = begun, {}
    assert (await reader.go_on(2)).reset == "epoch"


async def test_a_page_shows_nothing_to_a_token_that_may_not_follow_the_channel(
    core: CoreService,
) -> None:
    store = new_store()
    await fill(core, store, 3)
    reader = Reader(core, store, f"store:{store}")
    await reader.begin(2)
    for who in (token("owner", new_store()), token("table", table=f"{store}/5")):
        refused = await core.client.get(
            "/v1/sync", params={"page": reader.next or ""}, headers=bearer(who)
        )
        assert refused.status_code == 403


async def test_the_sdk_takes_all_pages_before_it_applies_any(core: CoreService) -> None:
    store = new_store()
    await fill(core, store, 2300)
    async with httpx.AsyncClient(base_url=core.stack.core_url, timeout=30) as http:
        command = StartSync(1, {f"store:{store}": None}, None, 0.0)
        done = await Transport(http).sync(command, token("owner", store))
        assert isinstance(done, SyncDone)
        (answer,) = done.response.channels
        assert answer.snapshot is not None
        assert len({order.id for order in answer.snapshot.orders}) == 2300
        assert (answer.snapshot.head, answer.reset) == (2300, "first_sync")
        refused = await Transport(http).sync(command, token("owner", new_store()))
        assert isinstance(refused, SyncFailed)
        assert isinstance(refused.failure.cause, RefusedError)


async def test_a_post_is_given_the_same_pages(core: CoreService) -> None:
    store = new_store()
    await fill(core, store, 7)
    who = bearer(token("owner", store))
    page: str | None = None
    seen = 0
    while page is not None or not seen:
        asked: dict[str, str | int] = (
            {"page": page, "orders": 3} if page else {"channel": f"store:{store}", "orders": 3}
        )
        got = await core.client.get("/v1/sync", params=asked, headers=who)
        body = {"page": page, "orders": 3} if page else {"channels": {f"store:{store}": None}}
        posted = await core.client.post("/v1/sync", json={"orders": 3} | body, headers=who)
        answers = [decode_sync(response.content).channels for response in (got, posted)]
        assert answers[0] == answers[1]
        snapshot = answers[0][0].snapshot
        assert snapshot is not None
        seen += len(snapshot.orders)
        page = snapshot.next
    assert seen == 7
