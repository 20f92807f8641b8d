"""T43 to T46: who subscribes to pushes, where they are sent, and what of it is shown."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag

from core_api.push.messages import PushKeys, PushMessage, Ready, headers, message
from tests.integration.core_service import CoreService, bearer, new_store, token
from tests.push_service import Browser, encoded
from tests.security.routes import TABLE, a_subscription, guest_push_calls, push_calls
from tests.security.test_tokens import made, party_leaves


async def test_t43_only_an_owner_of_the_store_subscribes_a_phone_or_ends_it(
    core: CoreService,
) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    path = f"/v1/stores/{store}/pushes"
    made = await core.client.put(f"{path}/phone", json=a_subscription(), headers=owner)
    assert made.status_code == 204
    strangers = [
        token("owner", new_store()),
        token("producer", store),
        token("table", table=f"{store}/5"),
        token("ops"),
    ]
    for who in strangers:
        for call in push_calls(store):
            if call.method != "GET" or who != strangers[-1]:
                assert (await call.send(core.client, who)).status_code == 403, call
    missing = await core.client.delete(f"{path}/phome", headers=owner)
    assert missing.status_code == 404
    for reader in (owner, bearer(token("ops"))):
        (shown,) = (await core.client.get(path, headers=reader)).json()["pushes"]
        assert shown["device"] == "phone"


async def test_t43_where_a_phone_is_told_and_its_keys_are_shown_to_nobody(
    core: CoreService,
) -> None:
    store, wanted = new_store(), a_subscription()
    owner = bearer(token("owner", store))
    path = f"/v1/stores/{store}/pushes"
    await core.client.put(f"{path}/phone", json=wanted, headers=owner)
    answer = await core.client.get(path, headers=owner)
    connection = await asyncpg.connect(core.database)
    row = await connection.fetchrow("SELECT * FROM push_subscriptions WHERE store_id = $1", store)
    await connection.close()
    for name in ("endpoint", "p256dh", "auth"):
        assert wanted[name] in str(row)
        assert wanted[name] not in answer.text


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://user:pw@push.example/",
    ],
)
async def test_t44_no_phone_subscribes_to_where_only_we_can_reach(
    core: CoreService, endpoint: str
) -> None:
    store = new_store()
    answer = await core.client.put(
        f"/v1/stores/{store}/pushes/phone",
        json=a_subscription() | {"endpoint": endpoint},
        headers=bearer(token("owner", store)),
    )
    assert answer.status_code == 422
    assert "`endpoint`" in answer.json()["detail"]


def test_t45_a_push_tells_the_phone_a_number_and_its_push_service_nothing() -> None:
    service = "https://push.example/a"
    phone, another = Browser(service), Browser(service)
    wanted = phone.subscription
    body = message(PushMessage("seoul-4711", 2, "ko"), wanted.p256dh, wanted.auth, os.urandom)
    assert json.loads(phone.decrypt(body)) == {"store": "seoul-4711", "count": 2, "language": "ko"}
    keys = PushKeys(encoded(b"k" * 32), "mailto:ops@example.com")
    sent = headers(keys, service, "seoul-4711", datetime(2026, 11, 22, tzinfo=UTC))
    assert "4711" not in str(sent)
    assert b"4711" not in body
    longer = message(PushMessage("s" * 64, 1000, "en"), wanted.p256dh, wanted.auth, os.urandom)
    assert len(longer) == len(body)
    with pytest.raises(InvalidTag):
        another.decrypt(body)


async def test_t46_a_guest_s_phone_is_of_the_table_of_its_token_and_nobody_else_subscribes_one(
    core: CoreService,
) -> None:
    store = new_store()
    for who in (token("owner", store), token("producer", store), token("ops")):
        for call in guest_push_calls():
            assert (await call.send(core.client, who)).status_code == 403, call
    subscribe, end = guest_push_calls()
    assert (
        await subscribe.send(core.client, token("table", table=f"{store}/5"))
    ).status_code == 204
    other = token("table", table=f"{store}/6")
    assert (await end.send(core.client, other)).status_code == 404
    connection = await asyncpg.connect(core.database)
    try:
        rows = await connection.fetch("SELECT * FROM guest_pushes WHERE store_id = $1", store)
    finally:
        await connection.close()
    assert [row["table_id"] for row in rows] == ["5"]


async def test_t46_an_owner_sees_and_ends_guests_phones_but_not_where_they_are_told(
    core: CoreService,
) -> None:
    store, wanted = new_store(), a_subscription()
    guest = bearer(token("table", table=f"{store}/5"))
    await core.client.put("/v1/guest-pushes/phone", json=wanted, headers=guest)
    path = f"/v1/stores/{store}/guest-pushes"
    owner = bearer(token("owner", store))
    for reader in (owner, bearer(token("ops"))):
        answer = await core.client.get(path, headers=reader)
        (shown,) = answer.json()["pushes"]
        assert (shown["table"], shown["device"]) == ("5", "phone")
        assert not [name for name in ("endpoint", "p256dh", "auth") if wanted[name] in answer.text]
    for table, device in (("6", "phone"), ("5", "phome")):
        missing = await core.client.delete(f"{path}/{table}/{device}", headers=owner)
        assert missing.status_code == 404
    ended = await core.client.delete(f"{path}/5/phone", headers=owner)
    assert ended.status_code == 204
    assert (await core.client.get(path, headers=owner)).json()["pushes"] == []


async def test_t46_a_guest_whose_party_has_left_subscribes_no_phone(core: CoreService) -> None:
    store = new_store()
    rights = {"role": "table", "stores": [], "table": f"{store}/{TABLE}"}
    guest: dict[str, Any] = {"sub": "guest"} | rights
    who = made(iat=int(time.time()) - 60, **guest)
    await party_leaves(core, store)
    for call in guest_push_calls():
        answer = await call.send(core.client, who)
        assert answer.status_code == 401
        assert answer.json()["type"].endswith("party-left")


async def test_t46_what_a_guest_s_phone_gives_leads_to_no_address_of_ours(
    core: CoreService,
) -> None:
    answer = await core.client.put(
        "/v1/guest-pushes/phone",
        json=a_subscription() | {"endpoint": "https://169.254.169.254/latest/"},
        headers=bearer(token("table", table=f"{new_store()}/5")),
    )
    assert answer.status_code == 422


def test_t46_a_push_tells_a_guest_s_phone_numbers_of_orders_and_its_push_service_nothing() -> None:
    service = "https://push.example/a"
    phone = Browser(service)
    wanted = phone.subscription
    body = message(Ready(["4711"], "ko"), wanted.p256dh, wanted.auth, os.urandom)
    assert json.loads(phone.decrypt(body)) == {"ready": ["4711"], "language": "ko"}
    owners = message(PushMessage("s" * 64, 1000, "en"), wanted.p256dh, wanted.auth, os.urandom)
    longest = message(Ready(["\U0001f35c" * 24] * 3, "ko"), wanted.p256dh, wanted.auth, os.urandom)
    assert len(body) == len(owners) == len(longest)
