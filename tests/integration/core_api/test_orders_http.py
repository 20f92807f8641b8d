"""Orders over HTTP: written once, whatever is retried; never over another's change unseen."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.integration.core_service import ITEM, CoreService, an_order, bearer, new_store, token

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def place(core: CoreService, store: str, **headers: str) -> dict[str, Any]:
    response = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store), **headers)
    )
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.json()
    return order


async def step(core: CoreService, store: str, order_id: str, to: str, **headers: str) -> Any:
    return await core.client.post(
        f"/v1/orders/{order_id}/transitions",
        json={"to": to},
        headers=bearer(token("owner", store), **headers),
    )


async def test_a_placed_order_is_there_to_be_read(core: CoreService) -> None:
    store = new_store()
    response = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    order = response.json()
    assert response.headers["etag"] == '"1"'
    read = await core.client.get(
        response.headers["location"], headers=bearer(token("owner", store))
    )
    assert read.json() == order
    assert order["total"] == 7000
    assert order["status"] == "placed"
    assert order["guest"] == {"name": "Kim", "phone": "010-5550"}


async def test_an_order_goes_through_its_life(core: CoreService) -> None:
    store = new_store()
    order = await place(core, store)
    for version, to in enumerate(("accepted", "preparing", "ready", "served", "paid"), 2):
        response = await step(core, store, order["id"], to)
        assert (response.status_code, response.json()["version"]) == (200, version)
    assert (await step(core, store, order["id"], "cancelled")).status_code == 409


async def test_each_write_is_an_event_in_both_channels_and_a_row_of_the_outbox(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    order = await place(core, store)
    await step(core, store, order["id"], "accepted")
    rows = await db.fetch(
        "SELECT channel, seq, type FROM channel_log WHERE order_id = $1 ORDER BY channel, seq",
        order["id"],
    )
    assert [tuple(row) for row in rows] == [
        (f"store:{store}", 1, "order.placed"),
        (f"store:{store}", 2, "order.accepted"),
        (f"table:{store}/5", 1, "order.placed"),
        (f"table:{store}/5", 2, "order.accepted"),
    ]
    outbox = await db.fetch(
        "SELECT channels, seqs FROM outbox WHERE store_id = $1 ORDER BY id", store
    )
    assert [list(row["seqs"]) for row in outbox] == [[1, 1], [2, 2]]


async def recall(core: CoreService, who: str, order_id: str, to: str, **headers: str) -> Any:
    return await core.client.post(
        f"/v1/orders/{order_id}/recalls", json={"to": to}, headers=bearer(who, **headers)
    )


async def test_a_step_back_is_an_event_for_the_owner_and_for_the_guest(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    order = await place(core, store)
    await step(core, store, order["id"], "rejected")
    back = await recall(core, token("owner", store), order["id"], "placed")
    assert (back.status_code, back.json()["status"], back.json()["version"]) == (200, "placed", 3)
    rows = await db.fetch(
        "SELECT channel, type FROM channel_log WHERE order_id = $1 AND seq = 3 ORDER BY channel",
        order["id"],
    )
    assert [tuple(row) for row in rows] == [
        (f"store:{store}", "order.recalled"),
        (f"table:{store}/5", "order.recalled"),
    ]


async def test_only_the_owner_takes_an_order_back(core: CoreService) -> None:
    store = new_store()
    order = await place(core, store)
    await step(core, store, order["id"], "accepted")
    guest = token("table", table=f"{store}/5")
    for who in (guest, token("producer", store)):
        assert (await recall(core, who, order["id"], "placed")).status_code == 403
    assert (
        await recall(core, token("owner", new_store()), order["id"], "placed")
    ).status_code == 404


async def test_a_step_back_is_taken_once_of_the_version_that_was_seen(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    order = await place(core, store)
    await step(core, store, order["id"], "accepted")
    stale = await recall(core, owner, order["id"], "placed", if_match='"1"')
    assert stale.status_code == 412
    first, second = [
        await recall(core, owner, order["id"], "placed", idempotency_key="k-back") for _ in range(2)
    ]
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert (await recall(core, owner, order["id"], "placed")).status_code == 409


async def test_an_order_without_a_table_is_in_its_stores_channel_only(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    response = await core.client.post(
        "/v1/orders", json=an_order(store, None), headers=bearer(token("owner", store))
    )
    channels = await db.fetch(
        "SELECT channel FROM channel_log WHERE order_id = $1", response.json()["id"]
    )
    assert [row["channel"] for row in channels] == [f"store:{store}"]


async def test_the_items_of_an_order_are_rows_too_and_follow_its_changes(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    order = await place(core, store)
    other = [ITEM | {"name": "라면"}, ITEM]
    response = await core.client.patch(
        f"/v1/orders/{order['id']}",
        json={"items": other, "note": "창가"},
        headers=bearer(token("owner", store)),
    )
    assert (response.json()["version"], response.json()["total"]) == (2, 14000)
    rows = await db.fetch(
        "SELECT line, name FROM order_items WHERE order_id = $1 ORDER BY line", order["id"]
    )
    assert [tuple(row) for row in rows] == [(1, "라면"), (2, "김밥")]


async def test_the_same_key_and_body_get_the_same_answer_and_one_order(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    responses = await asyncio.gather(
        *(
            core.client.post(
                "/v1/orders",
                json=an_order(store),
                headers=bearer(token("owner", store), idempotency_key="k1"),
            )
            for _ in range(20)
        )
    )
    assert {response.status_code for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    replayed = [r for r in responses if r.headers.get("idempotency-replayed") == "true"]
    assert len(replayed) == 19
    assert await db.fetchval("SELECT count(*) FROM orders WHERE store_id = $1", store) == 1
    assert await db.fetchval("SELECT count(*) FROM outbox WHERE store_id = $1", store) == 1


async def test_white_space_and_the_order_of_keys_do_not_make_another_body(
    core: CoreService,
) -> None:
    store = new_store()
    headers = bearer(token("owner", store), idempotency_key="k1", content_type="application/json")
    item = '{"name":"a","quantity":1,"unit_price":1}'
    spelled = [
        f'{{"store_id":"{store}","currency":"KRW","items":[{item}]}}',
        f'{{ "currency": "KRW", "items": [ {item} ], "store_id":"{store}" }}',
    ]
    first, second = [
        await core.client.post("/v1/orders", content=body, headers=headers) for body in spelled
    ]
    assert first.text == second.text


async def test_the_same_key_with_another_body_is_refused(core: CoreService) -> None:
    store = new_store()
    await place(core, store, idempotency_key="k1")
    response = await core.client.post(
        "/v1/orders",
        json=an_order(store, note="another"),
        headers=bearer(token("owner", store), idempotency_key="k1"),
    )
    assert response.status_code == 422
    assert response.json()["type"] == "urn:yabam:problem:idempotency-mismatch"


async def test_a_key_belongs_to_the_one_who_sent_it(core: CoreService) -> None:
    store = new_store()
    one = await place(core, store, idempotency_key="k1")
    response = await core.client.post(
        "/v1/orders",
        json=an_order(store),
        headers=bearer(token("producer", store), idempotency_key="k1"),
    )
    assert response.status_code == 201
    assert response.json()["id"] != one["id"]


async def test_a_repeated_step_with_a_key_is_taken_once(core: CoreService) -> None:
    store = new_store()
    order = await place(core, store)
    responses = await asyncio.gather(
        *(step(core, store, order["id"], "accepted", idempotency_key="s1") for _ in range(10))
    )
    assert {(r.status_code, r.json()["version"]) for r in responses} == {(200, 2)}


async def test_a_stale_version_is_refused_and_shown_the_order_as_it_stands(
    core: CoreService,
) -> None:
    store = new_store()
    order = await place(core, store)
    await step(core, store, order["id"], "accepted")
    response = await step(core, store, order["id"], "preparing", if_match='"1"')
    assert response.status_code == 412
    assert response.headers["etag"] == '"2"'
    assert response.json()["order"]["status"] == "accepted"
    assert (await step(core, store, order["id"], "preparing", if_match='"2"')).status_code == 200


async def test_a_version_of_the_same_number_from_before_a_restore_is_stale(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    order = await place(core, store)
    seen = {"if_match": '"1"', "yabam_if_updated_at": order["updated_at"]}
    # The version that was seen is thrown away by a restore, and another one gets its number.
    other = "2026-01-01T00:00:00.5Z"
    changed = await db.execute(
        "UPDATE orders SET owner_view = replace(owner_view, $2, $3),"
        " table_view = replace(table_view, $2, $3) WHERE id = $1",
        order["id"], order["updated_at"], other,
    )  # fmt: skip
    assert changed == "UPDATE 1"
    stale = await step(core, store, order["id"], "accepted", **seen, idempotency_key="k1")
    told = stale.json()
    assert (stale.status_code, told["order"]["version"]) == (412, 1)
    assert order["updated_at"] in told["detail"]
    again = {**seen, "yabam_if_updated_at": told["order"]["updated_at"]}
    done = await step(core, store, order["id"], "accepted", **again, idempotency_key="k1")
    assert (done.status_code, done.json()["version"]) == (200, 2)


async def test_a_retry_that_leaves_the_time_of_the_version_out_gets_the_same_answer(
    core: CoreService,
) -> None:
    store = new_store()
    order = await place(core, store)
    seen = {"yabam_if_updated_at": order["updated_at"], "idempotency_key": "k1"}
    done = await step(core, store, order["id"], "accepted", **seen)
    again = await step(core, store, order["id"], "accepted", **seen)
    other = await step(core, store, order["id"], "accepted", idempotency_key="k1")
    assert [done.status_code, again.status_code, other.status_code] == [200, 200, 200]
    assert other.json() == done.json()


async def test_many_writers_of_one_order_never_skip_or_double_a_version(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    order = await place(core, store)
    notes = await asyncio.gather(
        *(
            core.client.patch(
                f"/v1/orders/{order['id']}",
                json={"note": f"{n}"},
                headers=bearer(token("owner", store)),
            )
            for n in range(12)
        )
    )
    assert sorted(r.json()["version"] for r in notes) == list(range(2, 14))
    versions = await db.fetch(
        "SELECT order_version FROM channel_log WHERE channel = $1 ORDER BY seq", f"store:{store}"
    )
    assert [row[0] for row in versions] == list(range(1, 14))


async def test_a_batch_gives_each_order_a_result_of_its_own(core: CoreService) -> None:
    store = new_store()
    good = {"order": an_order(store), "idempotency_key": "b1"}
    foreign = {"order": an_order("someone-elses")}
    response = await core.client.post(
        "/v1/orders/batch",
        json={"items": [good, foreign, good]},
        headers=bearer(token("owner", store)),
    )
    first, second, third = response.json()["results"]
    assert (first["status"], second["status"], third["status"]) == (201, 403, 201)
    assert first["order"]["id"] == third["order"]["id"]
    assert second["problem"]["type"] == "urn:yabam:problem:forbidden"


@pytest.mark.parametrize(
    "path", ["/v1/orders/nonsense", f"/v1/orders/{'0' * 8}-0000-7000-8000-{'0' * 12}"]
)
async def test_an_order_that_is_not_there_is_not_found(core: CoreService, path: str) -> None:
    response = await core.client.get(path, headers=bearer(token("ops")))
    assert response.status_code == 404
