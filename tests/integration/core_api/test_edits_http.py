"""Documents over HTTP: edits, values, histories, definitions, and what a guest may not do."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.limits import MAX_EVENT_LINE_BYTES
from client_sdk.contract.state.patch import apply_patch
from client_sdk.contract.state.pointer import MISSING
from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token


async def edit(
    core: CoreService, holder: str, client: str, *edits: dict[str, Any], **batch: Any
) -> Any:
    body = {"client": client, "edits": list(edits)} | batch
    return await core.client.post("/v1/edits", json=body, headers=bearer(holder))


def one(n: int, store: str, key: str, do: dict[str, Any], base: int | None = 0) -> dict[str, Any]:
    return {"n": n, "channel": f"public:{store}", "key": key, "base": base, "do": do}


def wait_of(n: int, store: str, minutes: int, base: int = 0) -> dict[str, Any]:
    return one(n, store, "waiting-time", {"set": {"value": minutes}}, base)


async def test_an_edit_is_answered_with_its_outcome(core: CoreService) -> None:
    store = new_store()
    response = await edit(core, token("owner", store), store, wait_of(1, store, 20))
    assert response.status_code == 200
    assert response.json() == {
        "settled": 1,
        "outcomes": [{"n": 1, "outcome": "applied", "version": 1}],
    }


async def test_a_document_can_be_read_as_it_stands_and_as_it_was(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    await edit(core, owner, store, wait_of(1, store, 20), wait_of(2, store, 25, 1))
    where = f"/v1/documents?channel=public:{store}&key=waiting-time"
    now = await core.client.get(where, headers=bearer(owner))
    was = await core.client.get(f"{where}&version=1", headers=bearer(owner))
    assert (now.json()["version"], now.json()["value"]) == (2, {"value": 25})
    assert (was.json()["version"], was.json()["value"]) == (1, {"value": 20})


async def test_the_diffs_of_a_history_give_the_value_at_its_head(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    numbers = [wait_of(n, store, n, n - 1) for n in range(1, 51)]
    await edit(core, owner, store, *numbers)
    value: Any = MISSING
    after: Any = 0
    versions = []
    while True:
        page = await core.client.get(
            f"/v1/documents/events?channel=public:{store}&key=waiting-time&after={after}&limit=7",
            headers=bearer(owner),
        )
        assert page.status_code == 200, page.text
        for event in page.json()["events"]:
            value = apply_patch(value, event["diff"])
            versions.append(event["version"])
        after = page.json()["next"]
        if after is None:
            break
    assert versions == list(range(1, 51))
    assert value == {"value": 50}


async def test_a_history_tells_who_did_it_and_what_was_put_aside(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    early = wait_of(1, store, 1) | {"made_at": "2020-01-01T00:00:00Z"}
    await edit(core, owner, f"a{store}", wait_of(1, store, 20))
    late = await edit(core, owner, f"b{store}", {**early, "made_at": None})
    assert late.json()["outcomes"][0]["outcome"] == "put-aside"
    page = await core.client.get(
        f"/v1/documents/events?channel=public:{store}&key=waiting-time", headers=bearer(owner)
    )
    made, aside = page.json()["events"]
    assert (made["version"], made["client"], made["n"]) == (1, f"a{store}", 1)
    assert "version" not in aside
    assert aside["do"] == {"set": {"value": 1}}
    assert (aside["client"], aside["settled"]) == (f"b{store}", "last")


async def test_the_documents_of_a_channel_stand_in_its_snapshot(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    await edit(core, owner, store, wait_of(1, store, 20))
    answer = await core.client.get(f"/v1/sync?channel=public:{store}", headers=bearer(owner))
    (channel,) = answer.json()["channels"]
    (document,) = channel["snapshot"]["documents"]
    assert (document["key"], document["version"], document["value"]) == (
        "waiting-time", 1, {"value": 20},
    )  # fmt: skip
    assert channel["snapshot"]["orders"] == []


async def test_a_large_value_is_left_out_of_event_and_snapshot_and_can_be_fetched(
    core: CoreService,
) -> None:
    store = new_store()
    owner = token("owner", store)
    items = {f"i{n}": {"name": "x" * 180} for n in range(120)}
    done = await edit(core, owner, store, one(1, store, "sold-out", {"set": {"items": items}}))
    assert done.json()["outcomes"][0]["outcome"] == "applied"
    answer = await core.client.get(
        f"/v1/sync?channel=public:{store}&lastEventId=0", headers=bearer(owner)
    )
    (event,) = answer.json()["channels"][0]["events"]
    assert "data" not in event
    snapshot = await core.client.get(f"/v1/sync?channel=public:{store}", headers=bearer(owner))
    (document,) = snapshot.json()["channels"][0]["snapshot"]["documents"]
    assert "value" not in document
    whole = await core.client.get(
        f"/v1/documents?channel=public:{store}&key=sold-out&version=1", headers=bearer(owner)
    )
    assert whole.json()["value"] == {"items": items}


async def test_a_guest_edits_the_cart_of_its_table_and_nothing_else(core: CoreService) -> None:
    store = new_store()
    guest = token("table", table=f"{store}/5")
    line = {"lines": {"a": {"name": "김밥", "quantity": 1, "unit_price": 3500}}}
    cart = {"key": "cart", "base": 0, "do": {"merge": line}}
    response = await edit(
        core, guest, store,
        {"n": 1, "channel": f"party:{store}/5", **cart},
        {"n": 2, "channel": f"party:{store}/6", **cart},
        wait_of(3, store, 1),
        {"n": 4, "channel": f"team:{store}", "key": "shift", "do": {"set": {"people": {}}}},
    )  # fmt: skip
    outcomes = response.json()["outcomes"]
    assert [o["outcome"] for o in outcomes] == ["applied", "refused", "refused", "refused"]
    assert {o["problem"]["type"] for o in outcomes[1:]} == {"urn:yabam:problem:forbidden"}


async def test_a_guest_cannot_read_another_tables_documents(core: CoreService) -> None:
    store = new_store()
    guest = bearer(token("table", table=f"{store}/5"))
    for path in ("/v1/documents", "/v1/documents/events"):
        response = await core.client.get(f"{path}?channel=party:{store}/6&key=cart", headers=guest)
        assert response.status_code == 403


async def party_leaves(core: CoreService, store: str) -> None:
    do = {"set": {"number": 1}}
    left = {"n": 1, "channel": f"party:{store}/5", "key": "party", "base": None, "do": do}
    answer = await edit(core, token("owner", store), f"o{store}", left)
    assert answer.json()["outcomes"][0]["outcome"] == "applied"


async def test_a_guest_sees_of_a_documents_history_only_what_is_of_its_own_party(
    core: CoreService,
) -> None:
    store = new_store()
    party = f"party:{store}/5"
    guest, owner = token("table", table=f"{store}/5"), token("owner", store)

    def line(n: int, key: str) -> dict[str, Any]:
        entry = {"name": "Kimbap", "quantity": 1, "unit_price": 3500}
        do = {"merge": {"lines": {key: entry}}}
        return {"n": n, "channel": party, "key": "cart", "base": None, "do": do}

    async def seen_by(holder: str) -> tuple[list[int], list[int]]:
        where = f"channel={party}&key=cart"
        headers = bearer(holder)
        page = await core.client.get(f"/v1/documents/events?{where}", headers=headers)
        values = [
            await core.client.get(f"/v1/documents?{where}&version={n}", headers=headers)
            for n in (1, 2)
        ]
        return [one["version"] for one in page.json()["events"]], [v.status_code for v in values]

    await edit(core, guest, f"a{store}", line(1, "old"))
    await party_leaves(core, store)
    came = token("table", table=f"{store}/5")
    await edit(core, came, f"b{store}", line(1, "new"))
    assert await seen_by(came) == ([2], [404, 200])
    assert await seen_by(owner) == ([1, 2], [200, 200])


async def test_clients_of_a_party_that_has_left_are_not_heard_of_any_more(
    core: CoreService,
) -> None:
    store = new_store()
    caller = Caller("guest", "table", table=Channel("table", store, "5"))
    earlier = TokenKeys({"local": KEYS.token.encode()}, "local", lambda: time.time() - 60)
    headers = bearer(earlier.sign(caller, 600))
    where = f"/v1/edits?client={store}"
    assert (await core.client.get(where, headers=headers)).status_code == 200
    await party_leaves(core, store)
    answer = await core.client.get(where, headers=headers)
    assert answer.json()["type"] == "urn:yabam:problem:party-left"


async def test_how_far_a_client_is_settled_is_told_to_its_own_subject_only(
    core: CoreService,
) -> None:
    store = new_store()
    await edit(core, token("owner", store), store, wait_of(1, store, 20))
    own = await core.client.get(f"/v1/edits?client={store}", headers=bearer(token("owner", store)))
    other = await core.client.get(
        f"/v1/edits?client={store}", headers=bearer(token("table", table=f"{store}/5"))
    )
    assert (own.json()["settled"], other.json()["settled"]) == (1, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"edits": []}, 422),
        ({"client": "a b", "edits": []}, 422),
        ({"client": "c", "edits": [{"n": 0}]}, 422),
        ({"client": "c", "edits": [{"n": n} for n in range(1, 102)]}, 422),
        ({"client": "c", "edits": [{"n": 2}, {"n": 2}]}, 422),
        ({"client": "c", "edits": [{"n": 7, "channel": "public:1"}]}, 409),
    ],
)
async def test_a_request_that_cannot_be_settled_settles_nothing(
    core: CoreService, body: dict[str, Any], status: int
) -> None:
    store = new_store()
    response = await core.client.post("/v1/edits", json=body, headers=bearer(token("owner", store)))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_unreadable_edit_is_refused_with_its_pointer_and_the_next_goes_on(
    core: CoreService,
) -> None:
    store = new_store()
    bad = one(1, store, "waiting-time", {"set": {"value": 1.5}})
    response = await edit(core, token("owner", store), store, bad, wait_of(2, store, 5))
    refused, applied = response.json()["outcomes"]
    assert (refused["problem"]["type"], refused["pointer"]) == (
        "urn:yabam:problem:invalid",
        "/value",
    )
    assert applied["outcome"] == "applied"


async def test_an_order_of_what_is_sold_out_is_refused_by_name(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    sold_out = {"items": {"k": {"name": an_order(store)["items"][0]["name"]}}}
    await edit(core, owner, store, one(1, store, "sold-out", {"set": sold_out}))
    response = await core.client.post("/v1/orders", json=an_order(store), headers=bearer(owner))
    assert response.status_code == 409
    problem = response.json()
    assert problem["type"] == "urn:yabam:problem:sold-out"
    assert problem["items"] == [an_order(store)["items"][0]["name"]]


async def test_a_store_that_takes_no_orders_refuses_them_until_it_does_again(
    core: CoreService,
) -> None:
    store = new_store()
    owner = token("owner", store)
    place: Any = {"json": an_order(store), "headers": bearer(owner)}
    assert (await core.client.post("/v1/orders", **place)).status_code == 201
    closed = one(1, store, "taking-orders", {"set": {"value": False, "reason": "휴식"}})
    await edit(core, owner, store, closed)
    refused = await core.client.post("/v1/orders", **place)
    assert (refused.status_code, refused.json()["type"]) == (
        409, "urn:yabam:problem:not-taking-orders",
    )  # fmt: skip
    assert "휴식" in refused.json()["detail"]
    await edit(core, owner, store, one(2, store, "taking-orders", {"set": {"value": True}}, 1))
    assert (await core.client.post("/v1/orders", **place)).status_code == 201


async def test_a_repeated_order_gets_its_first_answer_though_its_dish_is_sold_out_by_now(
    core: CoreService,
) -> None:
    store = new_store()
    owner = token("owner", store)
    headers = bearer(owner) | {"idempotency-key": "k1"}
    first = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    sold_out = {"items": {"k": {"name": an_order(store)["items"][0]["name"]}}}
    await edit(core, owner, store, one(1, store, "sold-out", {"set": sold_out}))
    again = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_the_history_of_an_order_tells_each_step_and_who_took_it(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=bearer(owner))
    order_id = placed.json()["id"]
    accepted = await core.client.post(
        f"/v1/orders/{order_id}/transitions", json={"to": "accepted"}, headers=bearer(owner)
    )
    page = await core.client.get(f"/v1/orders/{order_id}/events", headers=bearer(owner))
    events = page.json()["events"]
    assert [(e["version"], e["type"]) for e in events] == [
        (1, "order.placed"),
        (2, "order.accepted"),
    ]
    value: Any = MISSING
    for event in events:
        assert event["by"]
        value = apply_patch(value, event["diff"])
    assert value == accepted.json()
    later = await core.client.get(f"/v1/orders/{order_id}/events?after=1", headers=bearer(owner))
    assert later.json()["events"] == events[1:]


async def test_a_guest_sees_its_orders_history_without_the_owners_fields(
    core: CoreService,
) -> None:
    store = new_store()
    placed = await core.client.post(
        "/v1/orders", json=an_order(store) | {"table_id": "5"},
        headers=bearer(token("owner", store)),
    )  # fmt: skip
    where = f"/v1/orders/{placed.json()['id']}/events"
    page = await core.client.get(where, headers=bearer(token("table", table=f"{store}/5")))
    (event,) = page.json()["events"]
    assert "by" not in event
    assert "guest" not in event["diff"][0]["value"]
    other = await core.client.get(where, headers=bearer(token("table", table=f"{store}/6")))
    assert other.status_code == 404


async def test_a_guest_learns_the_role_of_an_author_and_an_owner_its_name(
    core: CoreService,
) -> None:
    store = new_store()
    owner, guest = token("owner", store), token("table", table=f"{store}/5")
    await edit(core, owner, store, wait_of(1, store, 20))
    path = f"channel=public:{store}&key=waiting-time"
    seen = {}
    for name, holder in (("owner", owner), ("guest", guest)):
        page = await core.client.get(f"/v1/documents/events?{path}", headers=bearer(holder))
        was = await core.client.get(f"/v1/documents?{path}&version=1", headers=bearer(holder))
        now = await core.client.get(f"/v1/documents?{path}", headers=bearer(holder))
        (entry,) = page.json()["events"]
        seen[name] = (entry["by"], was.json()["by"], now.json()["by"])
    assert seen == {"owner": (f"owner-{store}", "owner", "owner"), "guest": ("owner",) * 3}


async def test_the_largest_event_of_a_document_is_a_line_that_every_reader_takes(
    core: CoreService,
) -> None:
    store = new_store()
    owner = token("owner", store)
    name = "\u2028" * 40
    items = {f"i{n}": {"name": name} for n in range(200)}
    whole = one(1, store, "sold-out", {"set": {"items": {}}})
    await edit(core, owner, store, whole)
    size = 0
    for version, count in enumerate(range(60, 120, 5), 1):
        some = dict(list(items.items())[:count])
        change = one(1, store, "sold-out", {"set": {"items": some}}, version) | {
            "metadata": {"m": "\u2028" * 1300}
        }
        response = await edit(core, owner, f"c{store}{count}", change)
        assert response.json()["outcomes"][0]["outcome"] == "applied", response.text
    answer = await core.client.get(
        f"/v1/sync?channel=public:{store}&lastEventId=0", headers=bearer(owner)
    )
    for event in answer.json()["channels"][0]["events"]:
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        size = max(size, len(line) + 3 * line.count("\u2028".encode()))
    assert 16 * 1024 < size < MAX_EVENT_LINE_BYTES
    large = wait_of(1, store, 1) | {"metadata": {"m": "x" * 5000}}
    refused = await edit(core, owner, f"d{store}", large)
    assert "metadata" in refused.json()["outcomes"][0]["problem"]["detail"]
