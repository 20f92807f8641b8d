"""The two requests that once stopped all work, on real Kafka, with the same kind of token."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import msgspec

from client_sdk.contract.limits import MAX_ORDER_BYTES
from client_sdk.contract.order import EPOCH_HEADER
from tests.attack.channels import metric
from tests.attack.site import Bystander, Figures, Site
from tests.chaos.worst import (
    EPOCH_REFUSALS,
    MAX_ITEMS,
    order_of,
    reporting,
    stores_of_every_shard,
    with_hostile_epochs,
)
from tests.integration.core_service import an_order, bearer, new_store, token

_PARTITIONS = 4
_TURNS = 5
_STOPS_WITHIN_S = 60.0
_FRESH_S = 5.0
_ROOM_ITEMS = 2
"""This many items more than the largest accepted order are too many, whatever Core adds."""


async def one_order(site: Site, full: bool) -> Figures:
    """A guest sends the largest order that a batch accepts, one for each shard of the relay."""
    figures: Figures = {}
    async with (
        site.watched(figures, {site.stack.core: 256}) as bystander,
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        taken = []
        for store in stores_of_every_shard(new_store(), _PARTITIONS):
            least, most = 0, MAX_ITEMS
            while least < most:
                middle = (least + most + 1) // 2
                if await _taken(http, store, middle):
                    least = middle
                else:
                    most = middle - 1
            assert _bytes_of(store, least + _ROOM_ITEMS) > MAX_ORDER_BYTES, "larger orders fit"
            taken.append(least)
        figures["most_items_taken"] = max(taken)
        figures["most_bytes_taken"] = _bytes_of(store, least)
        await _go_on(bystander)
        async with asyncio.timeout(_STOPS_WITHIN_S):
            while await metric(site, "watermark_lag_seconds") > _FRESH_S:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    return figures


async def _taken(http: httpx.AsyncClient, store: str, items: int) -> bool:
    """Whether the order was accepted. It may be refused only for its size."""
    guest = bearer(token("table", table=f"{store}/1"))
    body = {"items": [{"order": order_of(store, items, "largest")}]}
    answer = await http.post("/v1/orders/batch", json=body, headers=guest)
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    if result["status"] == 201:
        assert _bytes_of(store, items) < MAX_ORDER_BYTES, "what is too large was taken"
        return True
    told = (result["status"], result["problem"]["type"])
    assert told == (413, "urn:yabam:problem:too-large"), answer.text
    return False


def _bytes_of(store: str, items: int) -> int:
    """The length of the order's body, which is a little less than that of the stored order."""
    return len(msgspec.json.encode(order_of(store, items, "largest")))


async def one_epoch(site: Site, full: bool) -> Figures:
    """An owner's device reports itself with epochs that no database can store."""
    times = 20 if full else 2
    figures: Figures = {"times": times}
    async with (
        site.watched(figures, {site.stack.core: 48}) as bystander,
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=30) as http,
    ):
        store = new_store()
        owner, channel = bearer(token("owner", store)), f"store:{store}"
        placed = await http.post("/v1/orders", json=an_order(store), headers=owner)
        assert placed.status_code == 201, placed.text
        good = f"/v1/sync?lastEventId={channel}@1&epoch={placed.headers[EPOCH_HEADER]}"
        answer = await http.get(good, headers=owner | reporting("till-1"))
        assert answer.status_code == 200, answer.text
        assert await _applied(http, store, owner) == {"till-1": f"{channel}@1"}
        told: Counter[tuple[int, str]] = Counter()
        for _ in range(times):
            for method, path, body in with_hostile_epochs(channel):
                headers = owner | reporting("till-1") | {"content-type": "application/json"}
                answer = await http.request(method, path, content=body, headers=headers)
                told[answer.status_code, answer.json().get("type", "")] += 1
        answer = await http.get(good, headers=owner | reporting("till-2"))
        assert answer.status_code == 200, answer.text
        stored = await _applied(http, store, owner)
        await _go_on(bystander)
    figures["answers"] = ", ".join(f"{n} x {status}" for (status, _), n in sorted(told.items()))
    assert stored == dict.fromkeys(("till-1", "till-2"), f"{channel}@1")
    assert told.keys() <= EPOCH_REFUSALS, told
    return figures


async def _applied(http: httpx.AsyncClient, store: str, owner: dict[str, str]) -> dict[str, str]:
    """What each device of the store has applied, as Core lists it."""
    listed = await http.get(f"/v1/stores/{store}/devices", headers=owner)
    assert listed.status_code == 200, listed.text
    return {one["device"]: one["cursor"] for one in listed.json()["devices"]}


async def _go_on(bystander: Bystander) -> None:
    """Wait until the bystander has worked some more turns, or has ended with an error."""
    target = len(bystander.opened_s) + _TURNS
    async with asyncio.timeout(_STOPS_WITHIN_S):
        while len(bystander.opened_s) < target and not bystander.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
