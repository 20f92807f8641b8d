"""T32 and T33: one client against the others, and text against what reads it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server_common.kafka_records.events import OrderRecord, encode_order_record
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.integration.event_server.conftest import following, running
from tests.security.routes import placed
from tests.unit.event_server.parts import EPOCH

BURST = 20
TEXTS = [
    "'; DROP TABLE orders; --",
    "$1 %s {0} {{7*7}} ${jndi:ldap://x} <script>alert(1)</script>",
    "a\r\nSet-Cookie: x=1\r\n\r\n<html>",
    "\n\nevent: bye\ndata: {}\n\n",
    'a\u2028b\u2029c\u0085d\x1b[31m"\\',
]


@pytest.fixture
def modest(database: str, tmp_path: Path) -> Iterator[CoreService]:
    """A Core that lets each subject ask little."""
    settings = {"YABAM_RATE_PER_S": "1", "YABAM_RATE_BURST": str(BURST)}
    service = CoreService.start(database, tmp_path, settings)
    yield service
    service.stop()


async def test_t32_one_that_asks_too_often_gets_429_and_the_others_are_served(
    modest: CoreService,
) -> None:
    store = new_store()
    greedy, modest_one = bearer(token("owner", store)), bearer(token("table", table=f"{store}/5"))
    async with httpx.AsyncClient(base_url=modest.stack.core_url) as client:
        path = f"/v1/sync?channel=table:{store}/5"
        answers = await asyncio.gather(
            *(client.get(path, headers=greedy) for _ in range(3 * BURST)),
            *(client.post("/v1/orders", json=an_order(store), headers=greedy) for _ in range(9)),
        )
        statuses = [answer.status_code for answer in answers]
        assert BURST <= len([s for s in statuses if s < 300]) <= BURST + 5
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 2 * BURST
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        # Another token of the same subject is no way round; another subject is not touched.
        assert (await client.get(path, headers=bearer(token("owner", store, lifetime_s=60)))
                ).status_code == 429  # fmt: skip
        for _ in range(5):
            assert (await client.get(path, headers=modest_one)).status_code == 200


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_t33_text_in_any_field_arrives_as_text(
    core: CoreService, client: httpx.AsyncClient, text: str
) -> None:
    store = new_store()
    order_id = await placed(core, store, note=text, reference=text,
                            guest={"name": text, "phone": text[:40]})  # fmt: skip
    owner = bearer(token("owner", store))
    for path in (f"/v1/orders/{order_id}", f"/v1/sync?channel=store:{store}&lastEventId=0"):
        answer = await core.client.get(path, headers=owner)
        assert answer.headers["content-type"] == "application/json"
        assert "set-cookie" not in answer.headers
        order = answer.json()
        order = order["channels"][0]["events"][0]["data"] if "channels" in order else order
        assert (order["note"], order["reference"]) == (text, text)
        assert order["guest"] == {"name": text, "phone": text[:40]}
    # As an id it is refused, wherever one is taken.
    for params in ({"channel": f"store:{text}"}, {"channel": f"store:{store}", "epoch": text}):
        assert (await core.client.get("/v1/sync", params=params, headers=owner)).status_code in (
            400, 200)  # fmt: skip
    with contextlib.suppress(httpx.InvalidURL):
        assert (await core.client.get(f"/v1/orders/{text}", headers=owner)).status_code == 404
    line = answer.text
    record = OrderRecord(EPOCH, "order.placed", "t", ("store:12@1",), (line.encode(),))
    async with (
        running() as server,
        following(client, server, server.ticket({"store:12": 0})) as stream,
    ):
        await stream.next()
        server.take(*encode_order_record(record))
        event = await stream.next()
        assert (event.type, event.data) == ("order.placed", line)
