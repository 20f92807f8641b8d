"""No answer of Fetch Sync is larger than its bound, and none ever stands still."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client_sdk.contract.limits import MAX_ORDER_BYTES, MAX_SYNC_BYTES
from client_sdk.contract.sync import SyncResponse, decode_sync
from server_common.limits import ANSWER_BYTES
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.unit.server_common.test_limits import longest_channels

LARGE = {"items": [{"name": "x" * 200, "quantity": 1, "unit_price": 1, "note": "y" * 500}] * 70}
OVER = ANSWER_BYTES + MAX_ORDER_BYTES + 8192


async def fill(core: CoreService, store: str, count: int, table: str | None = None) -> list[str]:
    """Place so many orders of about 52 KB; their ids."""
    headers = bearer(token("producer", store))
    made: list[str] = []
    while len(made) < count:
        items = [{"order": an_order(store, table, **LARGE)}] * min(15, count - len(made))
        done = await core.client.post("/v1/orders/batch", json={"items": items}, headers=headers)
        assert {item["status"] for item in done.json()["results"]} == {201}, done.text[:500]
        made += [item["order"]["id"] for item in done.json()["results"]]
    return made


async def sync(core: CoreService, store: str, **parameters: str | int) -> tuple[SyncResponse, int]:
    response = await core.client.get(
        "/v1/sync", params=parameters, headers=bearer(token("owner", store))
    )
    assert response.status_code == 200, response.text[:500]
    return decode_sync(response.content), len(response.content)


async def test_pages_of_events_and_of_orders_are_bounded_and_lose_nothing(
    core: CoreService,
) -> None:
    store = new_store()
    made = await fill(core, store, 60)
    seq, rounds = 0, 0
    while True:
        answer, size = await sync(core, store, lastEventId=f"store:{store}@{seq}", limit=1000)
        assert size <= OVER
        (channel,) = answer.channels
        assert [event.seq for event in channel.events] == list(
            range(seq + 1, seq + 1 + len(channel.events))
        )
        assert channel.events, "each answer brings its reader further"
        seq, rounds = channel.events[-1].seq, rounds + 1
        if not answer.has_more:
            break
    assert (seq, answer.stream is not None) == (60, True)
    assert rounds >= 3
    answer, size = await sync(core, store, channel=f"store:{store}", orders=1000)
    shown: list[str] = []
    while True:
        assert size <= OVER
        (channel,) = answer.channels
        assert channel.snapshot is not None
        shown += [order.id for order in channel.snapshot.orders]
        if channel.snapshot.next is None:
            break
        answer, size = await sync(core, store, page=channel.snapshot.next, orders=1000)
    assert sorted(shown) == sorted(made)


async def test_a_client_that_knows_of_no_pages_gets_a_large_snapshot_whole(
    core: CoreService,
) -> None:
    store = new_store()
    made = await fill(core, store, 60)
    answer, size = await sync(core, store, channel=f"store:{store}")
    (channel,) = answer.channels
    assert channel.snapshot is not None
    assert sorted(order.id for order in channel.snapshot.orders) == sorted(made)
    assert (channel.snapshot.next, channel.snapshot.head, answer.has_more) == (None, 60, False)
    assert OVER < size < MAX_SYNC_BYTES


async def test_many_channels_share_one_answer_and_all_come_to_their_head(
    core: CoreService,
) -> None:
    store = new_store()
    tables = [f"t{n}" for n in range(40)]
    for table in tables:
        await fill(core, store, 1, table)
    channels = [f"table:{store}/{table}" for table in tables]
    positions: dict[str, int | None] = dict.fromkeys(channels)
    headers = bearer(token("owner", store))
    shown: set[str] = set()
    pages: list[str] = []
    response = await core.client.post(
        "/v1/sync", json={"channels": positions, "orders": 1000}, headers=headers
    )
    rounds = 0
    while True:
        rounds += 1
        assert len(response.content) <= OVER + 40 * 1024
        for channel in decode_sync(response.content).channels:
            assert channel.snapshot is not None
            shown |= {order.id for order in channel.snapshot.orders}
            if channel.snapshot.next is not None:
                pages.append(channel.snapshot.next)
        if not pages:
            break
        response = await core.client.get(
            "/v1/sync", params={"page": pages.pop(), "orders": 1000}, headers=headers
        )
    assert len(shown) == 40
    assert rounds > 1, "they did not fit one answer"


@pytest.mark.parametrize("way", ["plain", "batch", "change"])
async def test_an_order_above_the_size_is_refused_at_every_door(
    core: CoreService, way: str
) -> None:
    store = new_store()
    headers = bearer(token("owner", store))
    small = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    # Each U+2028 is three bytes in the request, and six as it is stored.
    items = [{"name": "\u2028" * 200, "quantity": 1, "unit_price": 1}] * 60
    large = an_order(store, items=items)
    body: Any
    if way == "plain":
        text = json.dumps(large, ensure_ascii=False).encode()
        assert len(text) < 64 * 1024
        got = await core.client.post(
            "/v1/orders", content=text, headers=headers | {"content-type": "application/json"}
        )
        body = got.json()
    elif way == "batch":
        both = {"items": [{"order": large}, {"order": an_order(store)}]}
        got = await core.client.post("/v1/orders/batch", json=both, headers=headers)
        refused, taken = got.json()["results"]
        assert taken["status"] == 201
        body = refused["problem"]
    else:
        got = await core.client.patch(
            f"/v1/orders/{small.json()['id']}",
            content=json.dumps({"items": items}, ensure_ascii=False).encode(),
            headers=headers | {"content-type": "application/json"},
        )
        body = got.json()
    assert (body["status"], body["type"]) == (413, "urn:yabam:problem:too-large")
    assert str(MAX_ORDER_BYTES) in body["detail"]


async def test_the_three_characters_that_some_take_for_line_ends_are_escaped(
    core: CoreService,
) -> None:
    store = new_store()
    note = "a\u2028b\u2029c\u0085d\\"
    headers = bearer(token("owner", store))
    await core.client.post("/v1/orders", json=an_order(store, note=note), headers=headers)
    for position in ("0", ""):
        response = await core.client.get(
            "/v1/sync",
            params={"channel": f"store:{store}", "lastEventId": position},
            headers=headers,
        )
        for raw in ("\u2028", "\u2029", "\u0085"):
            assert raw not in response.text
        (channel,) = decode_sync(response.content).channels
        shown = channel.events[0].data if position else channel.snapshot.orders[0]  # type: ignore[union-attr]
        assert shown.note == note


async def test_the_most_channels_of_the_longest_names_are_synced_and_given_a_ticket(
    core: CoreService,
) -> None:
    body = json.dumps({"channels": dict.fromkeys(longest_channels(), None)})
    response = await core.client.post(
        "/v1/sync",
        content=body,
        headers=bearer(token("owner", "*")) | {"content-type": "application/json"},
    )
    assert response.status_code == 200, response.text[:300]
    stream = decode_sync(response.content).stream
    assert stream is not None
    assert core.tickets.verify(stream.ticket, 0.0).cursor.keys() == set(longest_channels())
