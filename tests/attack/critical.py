"""The two requests that once stopped everybody, on real Kafka, by the tokens that sent them."""

from __future__ import annotations

import asyncio

import httpx

from tests.attack.channels import metric
from tests.attack.site import Bystander, Figures, Site
from tests.chaos.worst import MOST_ITEMS, order_of, stores_of_every_shard
from tests.integration.core_service import bearer, new_store, token

_PARTITIONS = 4
_TURNS = 5
_STOPS_WITHIN_S = 60.0
_FRESH_S = 5.0
_EPOCHS = ("%00", "x%00", "%ED%A0%80")


async def one_order(site: Site, full: bool) -> Figures:
    """A guest's largest order that passes in a batch, one for each shard of the relay."""
    figures: Figures = {}
    async with (
        site.watched(figures, {site.stack.core: 256}) as bystander,
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):
        stores = stores_of_every_shard(new_store(), _PARTITIONS)
        for store in stores:
            least, most = 0, MOST_ITEMS
            while least < most:
                middle = (least + most + 1) // 2
                if await _taken(http, store, middle):
                    least = middle
                else:
                    most = middle - 1
            figures["most_items_taken"] = least
        await _go_on(bystander)
        async with asyncio.timeout(_STOPS_WITHIN_S):
            while await metric(site, "watermark_lag_seconds") > _FRESH_S:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    return figures


async def _taken(http: httpx.AsyncClient, store: str, items: int) -> bool:
    guest = bearer(token("table", table=f"{store}/1"))
    body = {"items": [{"order": order_of(store, items, "largest")}]}
    answer = await http.post("/v1/orders/batch", json=body, headers=guest)
    status = answer.json()["results"][0]["status"] if answer.is_success else answer.status_code
    assert status == 201 or 400 <= status < 500, answer.text
    return bool(status == 201)


async def one_epoch(site: Site, full: bool) -> Figures:
    """An owner's sync whose epoch no database can store, from a device that says who it is."""
    times = 20 if full else 2
    figures: Figures = {"times": times}
    statuses: set[int] = set()
    async with (
        site.watched(figures, {site.stack.core: 48}) as bystander,
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=30) as http,
    ):
        store = new_store()
        channel = f"store:{store}"
        headers = bearer(token("owner", store)) | {"yabam-device": "id=till, mode=live"}
        for _ in range(times):
            for epoch in _EPOCHS:
                query = f"/v1/sync?lastEventId={channel}@1&epoch={epoch}"
                statuses.add((await http.get(query, headers=headers)).status_code)
            body = {"channels": {channel: 1}, "epoch": "\0"}
            statuses.add((await http.post("/v1/sync", json=body, headers=headers)).status_code)
        await _go_on(bystander)
    figures["statuses"] = ", ".join(map(str, sorted(statuses)))
    assert max(statuses) < 500
    return figures


async def _go_on(bystander: Bystander) -> None:
    """Return once others have worked on for some turns; their own errors end the attack."""
    target = len(bystander.opened_s) + _TURNS
    async with asyncio.timeout(_STOPS_WITHIN_S):
        while len(bystander.opened_s) < target and not bystander.ended:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
