"""The largest body that each door of Core takes, sent for real, and what is behind it then."""

from __future__ import annotations

import json
from typing import get_args
from uuid import uuid4

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.cursor import MAX_CHANNELS
from client_sdk.contract.device import MAX_SEEN_ORDERS
from client_sdk.contract.order import EventType
from server_common.limits import (
    ANSWER_BYTES,
    DEVICE_COMMAND_BYTES,
    DEVICE_OPEN_COMMANDS,
    WEBHOOK_STORES,
    WEBHOOK_TYPES,
    WEBHOOK_URL_BYTES,
)
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token


async def test_a_device_has_room_for_the_most_and_largest_commands(core: CoreService) -> None:
    store = new_store()
    path = f"/v1/stores/{store}/devices/lamp-1"
    owner = bearer(token("owner", store), content_type="application/json")
    assert (await core.client.put(path, json={}, headers=owner)).status_code == 201
    empty = len(json.dumps({"name": "b" * 64, "expires_in_s": 600, "arguments": {"t": ""}}))
    body = {
        "name": "b" * 64,
        "expires_in_s": 600,
        "arguments": {"t": "x" * (DEVICE_COMMAND_BYTES - empty)},
    }
    sent = json.dumps(body).encode()
    assert len(sent) == DEVICE_COMMAND_BYTES
    for _ in range(DEVICE_OPEN_COMMANDS):
        made = await core.client.post(f"{path}/commands", content=sent, headers=owner)
        assert made.status_code in (200, 201, 202), made.text
    more = await core.client.post(f"{path}/commands", content=sent, headers=owner)
    assert (more.status_code, more.json()["type"].rpartition(":")[2]) == (409, "too-many-commands")
    answer = await core.client.get(
        "/v1/sync", params={"channel": f"device:{store}/lamp-1"}, headers=owner
    )
    (channel,) = answer.json()["channels"]
    shown = [one for one in channel["snapshot"]["documents"] if one["key"].startswith("command.")]
    assert [one["value"]["arguments"] for one in shown] == [body["arguments"]] * len(shown)
    assert len(shown) == DEVICE_OPEN_COMMANDS
    assert len(answer.content) <= ANSWER_BYTES


async def test_receipts_of_the_most_channels_of_the_longest_names_are_taken(
    core: CoreService,
) -> None:
    store = "x" * 52 + new_store()
    names = (f"device:{store}/{n:064}" for n in range(MAX_CHANNELS))
    sync = await core.client.get(
        "/v1/sync", params={"channel": f"store:{store}"}, headers=bearer(token("owner", store))
    )
    body = {
        "cursor": ",".join(f"{name}@{MAX_SEQ}" for name in names),
        "epoch": sync.json()["epoch"],
    }
    headers = bearer(token("owner", store), yabam_device="till-1; mode=live; pending=0")
    answer = await core.client.post("/v1/receipts", json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"taken": 0})


async def test_the_most_orders_that_a_device_has_shown_are_taken(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("owner", store), yabam_device="till-1; mode=live; pending=0")
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    many = [placed.json()["id"], *(str(uuid4()) for _ in range(MAX_SEEN_ORDERS - 1))]
    answer = await core.client.post("/v1/orders/seen", json={"orders": many}, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"taken": 1})


async def test_a_webhook_of_the_most_stores_is_registered(
    core: CoreService,
) -> None:
    # Longer names of so many stores have no room in the token that must name them.
    stores = [f"{uuid4().hex}{n:08}" for n in range(WEBHOOK_STORES)]
    owner = bearer(token("owner", *stores))
    begin = "https://127.0.0.1/"
    body = {
        "url": begin + "u" * (WEBHOOK_URL_BYTES - len(begin)),
        "stores": stores,
        "types": sorted(get_args(EventType))[:WEBHOOK_TYPES],
    }
    answer = await core.client.post("/v1/webhooks", json=body, headers=owner)
    assert answer.status_code == 201, answer.text
    webhook = answer.json()["webhook"]["id"]
    gone = await core.client.delete(f"/v1/webhooks/{webhook}", headers=owner)
    assert gone.status_code == 204
