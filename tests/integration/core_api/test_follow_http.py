"""Promise 7 on Core's side: who only ever syncs ends with the database's orders, whatever comes."""

from __future__ import annotations

import asyncio
import random
from typing import TypeAlias

import asyncpg
import pytest
from msgspec import UNSET

from core_api.orders.lifecycle import NEXT
from core_api.postgres.pool import open_pool
from core_api.retention.log_trim import trim_log
from tests.integration.core_api.following import Follower, open_orders
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def live(core: CoreService, store: str, chance: random.Random, count: int) -> None:
    """Orders come and go, at two tables and at the counter."""
    headers = bearer(token("owner", store))
    client = core.client
    for _ in range(count):
        body = an_order(store, chance.choice(["1", "2", None]))
        order = (await client.post("/v1/orders", json=body, headers=headers)).json()
        while NEXT[order["status"]] and chance.random() < 0.8:
            path = f"/v1/orders/{order['id']}"
            if order["status"] in ("placed", "accepted") and chance.random() < 0.3:
                response = await client.patch(path, json={"note": "x"}, headers=headers)
            else:
                step = {"to": chance.choice(NEXT[order["status"]])}
                response = await client.post(f"{path}/transitions", json=step, headers=headers)
            assert response.status_code == 200, response.text
            order = response.json()


async def keep_trimming(core: CoreService, db: Database, store: str, done: asyncio.Event) -> None:
    """Age and forget the log under the followers, again and again, and once at the end."""
    pool = await open_pool(core.database, size=1, command_timeout_s=10, name="trim")
    last_round = False
    while not last_round:
        last_round = done.is_set()
        await db.execute("DELETE FROM outbox WHERE store_id = $1", store)
        await db.execute(
            "UPDATE channel_log SET occurred_at = now() - interval '9 days'"
            " WHERE channel LIKE '%:' || $1 || '%'",
            store,
        )
        await trim_log(pool, 8 * 86_400.0, 20)
    pool.terminate()


@pytest.mark.parametrize("trimming", [False, True], ids=["kept", "trimmed"])
async def test_a_follower_ends_with_the_open_orders_of_the_database(
    core: CoreService, db: Database, trimming: bool
) -> None:
    store, chance = new_store(), random.Random(7)
    owner = bearer(token("owner", store))
    names = (f"store:{store}", f"table:{store}/1", f"table:{store}/2")
    table = bearer(token("table", table=f"{store}/1"))
    followers = [
        Follower(owner, names),
        Follower(owner, names[:1]),
        Follower(table, names[1:2]),
    ]
    late = Follower(owner, names[:1])
    await late.sync(core, 1)
    done = asyncio.Event()

    async def follow(follower: Follower) -> None:
        while not done.is_set():
            await follower.sync(core, chance.randint(1, 20))
        while await follower.sync(core, 1000):
            pass

    following = [asyncio.create_task(follow(follower)) for follower in followers]
    trimmer = asyncio.create_task(keep_trimming(core, db, store, done)) if trimming else None
    await asyncio.gather(*(live(core, store, random.Random(seed), 12) for seed in range(4)))
    done.set()
    await asyncio.gather(*following, *([trimmer] if trimmer else []))
    await late.sync(core, 1000)
    for follower in [*followers, late]:
        assert follower.compared > 0
        for name in follower.channels:
            assert follower.seqs[name] == await db.fetchval(
                "SELECT head FROM channel_heads WHERE channel = $1", name
            )
            assert {
                key: order.version for key, order in follower.orders[name].items()
            } == await open_orders(db, store, name)
    assert late.resets == ["first_sync", "retention"][: 2 if trimming else 1]
    if not trimming:
        assert all(set(follower.resets) == {"first_sync"} for follower in followers)
    assert all(order.guest is UNSET for order in followers[2].orders[names[1]].values())


async def test_a_table_sees_none_of_the_owners_fields_in_a_batch_a_replay_or_a_snapshot(
    core: CoreService,
) -> None:
    store = new_store()
    table = bearer(token("table", table=f"{store}/5"))
    order = an_order(store, guest={"name": "Kim-secret", "phone": "010-secret"})
    keyed = table | {"idempotency-key": "k1"}
    client = core.client
    placed = await client.post("/v1/orders", json=order, headers=keyed)
    path = f"/v1/orders/{placed.json()['id']}"
    change = {"note": "x"}
    responses = [
        placed,
        await client.post("/v1/orders", json=order, headers=keyed),
        await client.post("/v1/orders/batch", json={"items": [{"order": order}]}, headers=table),
        await client.patch(path, json=change, headers=table | {"idempotency-key": "k2"}),
        await client.patch(path, json=change, headers=table | {"idempotency-key": "k2"}),
        await client.patch(path, json=change, headers=table | {"if-match": '"1"'}),
        await client.get(path, headers=table),
        await client.post("/v1/sync", json={"channels": {f"table:{store}/5": None}}, headers=table),
        await client.post("/v1/sync", json={"channels": {f"table:{store}/5": 0}}, headers=table),
    ]
    assert [response.status_code for response in responses] == [
        201, 201, 200, 200, 200, 412, 200, 200, 200,
    ]  # fmt: skip
    assert responses[1].headers["idempotency-replayed"] == "true"
    assert responses[4].headers["idempotency-replayed"] == "true"
    for response in responses:
        for word in ("secret", "guest", "placed_by"):
            assert word not in response.text, response.text
    owner = await client.get(path, headers=bearer(token("owner", store)))
    assert owner.json()["guest"] == {"name": "Kim-secret", "phone": "010-secret"}
    assert owner.json()["placed_by"] == f"table-{store}/5"


async def test_an_answer_that_was_lost_is_given_again_after_the_order_went_on(
    core: CoreService,
) -> None:
    store = new_store()
    headers = bearer(token("owner", store))
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=headers | {"idempotency-key": "p"}
    )
    path = f"/v1/orders/{placed.json()['id']}/transitions"
    step = headers | {"idempotency-key": "s", "if-match": '"1"'}
    first = await core.client.post(path, json={"to": "accepted"}, headers=step)
    await core.client.post(path, json={"to": "ready"}, headers=headers)
    again = await core.client.post(path, json={"to": "accepted"}, headers=step)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["etag"] == first.headers["etag"] == '"2"'
    other = await core.client.post(
        path, json={"to": "accepted"}, headers=headers | {"idempotency-key": "s"}
    )
    assert other.json()["type"] == "urn:yabam:problem:idempotency-mismatch"
    read = await core.client.get(path.removesuffix("/transitions"), headers=headers)
    assert read.json()["version"] == 3


async def test_a_write_that_was_refused_leaves_its_key_free(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("owner", store), idempotency_key="k")
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    path = f"/v1/orders/{placed.json()['id']}/transitions"
    refused = await core.client.post(path, json={"to": "paid"}, headers=headers)
    assert refused.status_code == 409
    assert refused.json()["order"]["status"] == "placed"
    taken = await core.client.post(path, json={"to": "accepted"}, headers=headers)
    assert (taken.status_code, taken.json()["version"]) == (200, 2)
