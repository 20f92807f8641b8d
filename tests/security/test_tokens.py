"""T1 to T11: what a token opens, and what it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import jwt
import pytest

from core_api.access.callers import Role
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.security.routes import (
    FOR_EVERY_TOKEN,
    LOGIN,
    OPEN,
    PAIR,
    PUSH_KEY,
    RENEW,
    TABLE,
    WEBHOOKS,
    calls,
    guest_push_calls,
    placed,
    refused,
    seen,
)

CLAIMS: dict[str, Any] = {
    "sub": "x",
    "role": "owner",
    "stores": ["*"],
    "aud": "yabam",
}


def made(key: str = KEYS.token, algorithm: str = "HS256", kid: str = "local", **more: Any) -> str:
    expiry = {"exp": int(time.time()) + 600}
    return jwt.encode(CLAIMS | expiry | more, key, algorithm, {"kid": kid})


NO_TOKENS: dict[str, Callable[[], str]] = {
    "none": lambda: "",
    "nonsense": lambda: "nonsense",
    "unsigned": lambda: made("", "none"),
    "of a stranger's key": lambda: made("s" * 32),
    "of a kid that we lack": lambda: made(kid="other"),
    "of another algorithm": lambda: made(algorithm="HS512"),
    "for another system": lambda: made(aud="elsewhere"),
    "of a role that there is not": lambda: made(role="root"),
    "of the ticket keys": lambda: made(KEYS.ticket),
}


async def test_t1_without_a_valid_token_nothing_is_read_or_written(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    before = await seen(core, store)
    alone = [LOGIN, PAIR, PUSH_KEY, RENEW, WEBHOOKS]
    asked = [*calls(store, order_id), *guest_push_calls(), *FOR_EVERY_TOKEN, *alone]
    for call in asked:
        response = await call.send(core.client, "")
        assert response.status_code == 401, call
        assert order_id not in response.text.replace(call.path, "")
    assert await seen(core, store) == before
    paths = set((await core.client.get("/openapi.json")).json()["paths"])
    assert {call.route for call in asked} >= paths - OPEN, "a route that this test does not know"


async def test_t2_an_owners_token_opens_nothing_of_another_store(core: CoreService) -> None:
    mine, store = new_store(), new_store()
    order_id = await placed(core, store)
    before = await seen(core, store)
    who = token("owner", mine)
    for call in calls(store, order_id):
        assert refused(await call.send(core.client, who)), call
    # One channel that is ours opens no other beside it.
    for query in (
        f"channel=store:{mine}&channel=store:{store}",
        f"channel=store:{mine}&channel=table:{store}/{TABLE}",
        f"lastEventId=store:{mine}@0,store:{store}@0",
    ):
        assert refused(await core.client.get(f"/v1/sync?{query}", headers=bearer(who))), query
    assert await seen(core, store) == before


async def test_t3_a_tables_token_shows_its_own_table_and_no_owners_field(
    core: CoreService,
) -> None:
    store = new_store()
    own, other = await placed(core, store), await placed(core, store, "6")
    no_table = await placed(core, store, None)
    who = token("table", table=f"{store}/{TABLE}")
    for order_id in (other, no_table):
        for call in calls(store, order_id):
            if "{id}" in call.route:
                assert refused(await call.send(core.client, who)), call
    for query in (f"channel=store:{store}", f"channel=table:{store}/6",
                  f"channel=table:{store}/{TABLE}&channel=store:{store}"):  # fmt: skip
        assert refused(await core.client.get(f"/v1/sync?{query}", headers=bearer(who))), query
    shown = [await call.send(core.client, who) for call in calls(store, own)]
    assert any(response.status_code == 200 for response in shown)
    for response in shown:
        for text in ("guest", "Kim", "010-5550", "placed_by", other, no_table):
            assert text not in response.text


async def test_t4_a_producers_token_never_gets_a_ticket(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    for who in (token("producer", store), token("producer", "*")):
        for call in calls(store, order_id):
            response = await call.send(core.client, who)
            assert "ticket" not in response.text
            if call.route == "/v1/sync":
                assert response.status_code == 403, call


async def test_t5_an_ops_token_writes_nothing_of_any_store(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    before = await seen(core, store)
    for call in calls(store, order_id, streams=False):
        response = await call.send(core.client, token("ops"))
        if call.route == "/v1/revocations":
            assert response.status_code == 204
        elif call.method != "GET" and call.route != "/v1/sync":
            assert refused(response), call
        elif "{device}" in call.route or "{webhook}" in call.route:
            # Nothing is registered there, which ops may know.
            assert response.status_code in (200, 404), call
        else:
            assert response.status_code == 200, call
    assert await seen(core, store) == before


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("which", NO_TOKENS)
async def test_t6_only_what_our_token_keys_signed_for_this_system_is_a_token(
    core: CoreService, which: str
) -> None:
    store = new_store()
    order_id = await placed(core, store)
    text = NO_TOKENS[which]()
    for call in calls(store, order_id):
        assert (await call.send(core.client, text)).status_code == 401, call
    # The same claims under our own key are a token: it is the signature that was missing.
    assert (await core.client.get(f"/v1/orders/{order_id}", headers=bearer(made()))).is_success


async def test_t7_a_token_that_has_expired_is_refused_however_often_it_was_good(
    core: CoreService,
) -> None:
    store = new_store()
    order_id = await placed(core, store)
    ends_at = int(time.time()) + 2
    who = made(exp=ends_at, stores=[store])
    assert (await core.client.get(f"/v1/orders/{order_id}", headers=bearer(who))).is_success
    while time.time() < ends_at:  # noqa: ASYNC110  (it is the clock that is awaited)
        await asyncio.sleep(0.02)
    for call in calls(store, order_id):
        assert (await call.send(core.client, who)).status_code == 401, call


@pytest.mark.parametrize("role", ["owner", "producer", "table"])
async def test_t8_who_may_not_see_an_order_cannot_tell_whether_it_exists(
    core: CoreService, role: Role
) -> None:
    there = await placed(core, new_store())
    nowhere = f"{there[:-4]}{int(there[-4:], 16) ^ 0xFFFF:04x}"
    mine = new_store()
    who = token("table", table=f"{mine}/5") if role == "table" else token(role, mine)
    for one, another in zip(calls(mine, there), calls(mine, nowhere), strict=True):
        if "/orders/{id}" in one.route:
            first, second = [await call.send(core.client, who) for call in (one, another)]
            assert first.status_code == second.status_code == 404
            assert first.text.replace(there, "") == second.text.replace(nowhere, "")


async def test_t9_an_idempotency_key_is_its_callers_own(core: CoreService) -> None:
    mine, store = new_store(), new_store()
    key = f"key-{store}"

    async def place(store: str, who: str) -> httpx.Response:
        headers = bearer(who, idempotency_key=key)
        return await core.client.post("/v1/orders", json=an_order(store), headers=headers)

    first = await place(store, token("owner", store))
    again = await place(store, token("owner", store))
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    for who in (token("owner", mine), token("producer", mine)):
        theirs = await place(mine, who)
        assert theirs.status_code == 201
        assert "idempotency-replayed" not in theirs.headers
        assert (await place(store, who)).status_code in (403, 422)
    assert (await seen(core, store))[0] == 1


async def test_t10_a_page_of_a_snapshot_opens_only_what_the_token_opens(
    core: CoreService,
) -> None:
    store = new_store()
    for _ in range(3):
        await placed(core, store)
    first = await core.client.get(
        f"/v1/sync?channel=store:{store}&orders=1", headers=bearer(token("owner", store))
    )
    page = first.json()["channels"][0]["snapshot"]["next"]
    params = {"page": page, "orders": "1"}
    for who, status in (
        (token("owner", store), 200),
        (token("owner", new_store()), 403),
        (token("table", table=f"{store}/{TABLE}"), 403),
        (token("producer", store), 403),
        ("", 401),
    ):
        response = await core.client.get("/v1/sync", params=params, headers=bearer(who))
        assert response.status_code == status
        assert ("Kim" in response.text) == (status == 200)


async def test_t11_a_device_reports_for_the_stores_of_its_token_only(core: CoreService) -> None:
    mine, store = new_store(), new_store()
    await placed(core, mine)
    await placed(core, store)
    report = {"yabam-device": "thief; mode=live; pending=0"}
    for who, channel in (
        (token("owner", mine), f"store:{store}"),
        (token("table", table=f"{store}/{TABLE}"), f"table:{store}/{TABLE}"),
        (token("table", table=f"{store}/{TABLE}"), f"store:{store}"),
        (token("producer", store), f"store:{store}"),
        (token("ops"), f"store:{store}"),
        (token("owner", mine), f"store:{mine}"),
    ):
        params = {"channel": channel, "lastEventId": "1"}
        await core.client.get("/v1/sync", params=params, headers=bearer(who) | report)
    shown = {}
    for name in (mine, store):
        path = f"/v1/stores/{name}/devices"
        listed = (await core.client.get(path, headers=bearer(token("ops")))).json()["devices"]
        shown[name] = [(device["device"], device["subject"]) for device in listed]
    assert shown == {mine: [("thief", f"owner-{mine}")], store: []}


async def test_t34_a_guests_token_ends_with_the_party_that_it_was_made_for(
    core: CoreService,
) -> None:
    store = new_store()
    guest: dict[str, Any] = {"sub": "g", "role": "table", "stores": [], "table": f"{store}/{TABLE}"}
    before = made(iat=int(time.time()) - 60, **guest)
    for query in guests_queries(store):
        assert (await core.client.get(query, headers=bearer(before))).status_code == 200, query
    await party_leaves(core, store)
    next_order = await placed(core, store)
    stored = await seen(core, store)
    for query in (*guests_queries(store), f"/v1/orders/{next_order}/events"):
        response = await core.client.get(query, headers=bearer(before))
        assert response.status_code == 401, query
        assert "scan the code" in response.json()["detail"]
    for call in calls(store, next_order):
        response = await call.send(core.client, before)
        assert response.status_code == 401 or refused(response) or call.method == "GET", call
    assert await seen(core, store) == stored
    after = made(iat=int(time.time()) + 1, **guest)
    read = await core.client.get(f"/v1/orders/{next_order}", headers=bearer(after))
    assert read.status_code == 200


async def test_t35_the_next_party_reads_no_history_of_the_one_before_and_can_edit(
    core: CoreService,
) -> None:
    store = new_store()
    guest: dict[str, Any] = {"sub": "g", "role": "table", "stores": [], "table": f"{store}/{TABLE}"}
    before = made(iat=int(time.time()) - 60, **guest)
    (_, cart) = guests_queries(store)
    assert await adds_to_the_cart(core, before, store, "old")
    for n in range(20):
        body = {"client": f"idle-{store}-{n}", "edits": []}
        await core.client.post("/v1/edits", json=body, headers=bearer(before))
    await party_leaves(core, store)
    came = made(iat=int(time.time()) + 1, **guest)
    after = bearer(came)
    assert (await core.client.get(cart, headers=after)).json()["events"] == []
    version = cart.replace("/documents/events", "/documents") + "&version=1"
    assert (await core.client.get(version, headers=after)).status_code == 404
    assert await adds_to_the_cart(core, came, store, "new")
    told = await core.client.get(cart, headers=after)
    assert [event["version"] for event in told.json()["events"]] == [2]


DAY_S = 86_400
WEEK_S = 7 * DAY_S


async def renewed(core: CoreService, who: str) -> dict[str, Any]:
    """The claims of the next token; none: Core gives none."""
    answer = await RENEW.send(core.client, who)
    if answer.status_code == 403:
        return {}
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    claims: dict[str, Any] = jwt.decode(
        answer.json()["token"], KEYS.token, ["HS256"], audience="yabam"
    )
    return claims


async def test_t36_a_renewed_token_opens_nothing_more_and_a_sign_in_ends_after_a_week(
    core: CoreService,
) -> None:
    now = int(time.time())
    rights: dict[str, Any] = {"stores": ["s1"], "brand": "b"}
    claims = await renewed(core, made(iat=now - DAY_S + 60, exp=now + 60, **rights))
    assert {name: claims[name] for name in ("sub", "role", "stores", "brand", "auth_time")} == {
        "sub": "x", "role": "owner", "stores": ["s1"], "brand": "b", "auth_time": now - DAY_S + 60,
    }  # fmt: skip
    assert now + DAY_S - 5 <= claims["exp"] <= now + DAY_S + 5
    # However often it is renewed, the week is counted from the sign-in.
    late = made(iat=now - 60, exp=now + DAY_S, auth_time=now - WEEK_S + 3600)
    assert await renewed(core, late) == {}
    last = made(iat=now - DAY_S, exp=now + 60, auth_time=now - WEEK_S + 3600)
    assert now + 3500 < (await renewed(core, last))["exp"] <= now + 3605
    over = made(iat=now - 60, exp=now + 60, auth_time=now - WEEK_S - 1)
    assert await renewed(core, over) == {}
    # Since when they are signed in, such a token does not say.
    assert await renewed(core, made(exp=now + 60)) == {}
    others: dict[Role, str] = {
        "ops": token("ops"),
        "producer": token("producer", "*"),
        "table": token("table", table=f"s1/{TABLE}"),
        "device": token("device", device="s1/bell-1"),
    }
    for role, who in others.items():
        assert await renewed(core, who) == {}, role


async def offered(core: CoreService, store: str, who: str = "") -> str:
    """The code that a terminal of the store shows."""
    answer = await core.client.post(
        f"/v1/stores/{store}/pairings", headers=bearer(who or token("owner", store, "another"))
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


async def typed(core: CoreService, store: str, code: str) -> httpx.Response:
    """Core's answer to a tablet on which somebody types it."""
    return await core.client.post("/v1/tokens/pairings", json={"store": store, "code": code})


def wrong(code: str) -> str:
    """Another code."""
    return f"{(int(code) + 1) % 10**6:06}"


async def test_t37_a_pairing_code_is_good_once_for_three_tries_for_its_store_alone(
    core: CoreService,
) -> None:
    store, other = new_store(), new_store()
    code = await offered(core, store)
    assert (await typed(core, other, code)).status_code == 401
    paired = await typed(core, store, code)
    assert paired.status_code == 200
    claims = jwt.decode(paired.json()["token"], KEYS.token, ["HS256"], audience="yabam")
    # The sign-in that it takes over is of two stores.
    assert (claims["role"], claims["stores"]) == ("owner", [store])
    assert 0 < claims["exp"] - time.time() <= 605
    assert time.time() - claims["auth_time"] < 60
    assert (await typed(core, store, code)).status_code == 401
    code = await offered(core, store)
    for _ in range(2):
        assert (await typed(core, store, wrong(code))).status_code == 401
    assert (await typed(core, store, code)).status_code == 200
    code = await offered(core, store)
    guesses = await asyncio.gather(*(typed(core, store, wrong(code)) for _ in range(3)))
    assert {guess.status_code for guess in guesses} == {401}
    assert (await typed(core, store, code)).status_code == 401
    # A new one takes its place, and the old one is good no longer.
    before, code = await offered(core, store), await offered(core, store)
    if before != code:
        assert (await typed(core, store, before)).status_code == 401
    both = await asyncio.gather(*(typed(core, store, code) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [200, 401]


async def test_t37_a_pairing_code_ends_after_five_minutes(
    core: CoreService, db: asyncpg.Connection[asyncpg.Record]
) -> None:
    store = new_store()
    code = await offered(core, store)
    left = await db.fetchrow(
        "SELECT code, ends_at - now() AS time FROM pairings WHERE store_id = $1", store
    )
    assert left is not None
    assert 290 < left["time"].total_seconds() <= 300
    assert code.encode() not in left["code"]
    await db.execute("UPDATE pairings SET ends_at = now() WHERE store_id = $1", store)
    assert (await typed(core, store, code)).status_code == 401


async def adds_to_the_cart(core: CoreService, who: str, store: str, line: str) -> bool:
    entry = {"name": "Tea", "quantity": 1, "unit_price": 1000}
    edit = {
        "n": 1,
        "channel": f"party:{store}/{TABLE}",
        "key": "cart",
        "base": None,
        "do": {"merge": {"lines": {line: entry}}},
    }
    body = {"client": f"{line}-{store}", "edits": [edit]}
    answer = await core.client.post("/v1/edits", json=body, headers=bearer(who))
    # Settled: it was made on an older version, and both are in the cart.
    return answer.json()["outcomes"][0]["outcome"] in ("applied", "settled")


def guests_queries(store: str) -> tuple[str, ...]:
    where = f"party:{store}/{TABLE}"
    return (
        f"/v1/sync?channel=table:{store}/{TABLE}&channel={where}",
        f"/v1/documents/events?channel={where}&key=cart",
    )


async def party_leaves(core: CoreService, store: str) -> None:
    edit = {
        "n": 1,
        "channel": f"party:{store}/{TABLE}",
        "key": "party",
        "do": {"merge": {"number": 1}},
    }
    body = {"client": f"till-{store}", "edits": [edit]}
    owner = bearer(token("owner", store))
    (await core.client.post("/v1/edits", json=body, headers=owner)).raise_for_status()
