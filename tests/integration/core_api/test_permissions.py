"""Who may do what: each role against each route, on its own and on a foreign store."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from core_api.access.callers import Role
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

ROLES: tuple[Role, ...] = ("owner", "table", "producer", "ops")

# Of each route: the statuses for owner, table, producer, ops, on what is their own.
OWN: dict[str, tuple[int, int, int, int]] = {
    "place": (201, 201, 201, 403),
    "read": (200, 200, 200, 200),
    "accept": (200, 403, 403, 403),
    "cancel": (200, 200, 200, 403),
    "change": (200, 200, 200, 403),
    "sync-store": (200, 403, 403, 200),
    "sync-table": (200, 200, 403, 200),
    "metrics": (403, 403, 403, 200),
    "ops-day": (403, 403, 403, 200),
    "acknowledge": (403, 403, 403, 200),
}
# And on what is another's.
FOREIGN: dict[str, tuple[int, int, int, int]] = {
    "place": (403, 403, 403, 403),
    "read": (404, 404, 404, 200),
    "accept": (404, 404, 404, 403),
    "cancel": (404, 404, 404, 403),
    "change": (404, 404, 404, 403),
    "sync-store": (403, 403, 403, 200),
    "sync-table": (403, 403, 403, 200),
}


async def act(core: CoreService, action: str, store: str, order_id: str, who: str) -> Any:
    headers = bearer(who)
    client = core.client
    match action:
        case "place":
            return await client.post("/v1/orders", json=an_order(store), headers=headers)
        case "read":
            return await client.get(f"/v1/orders/{order_id}", headers=headers)
        case "accept" | "cancel":
            to = {"accept": "accepted", "cancel": "cancelled"}[action]
            return await client.post(
                f"/v1/orders/{order_id}/transitions", json={"to": to}, headers=headers
            )
        case "change":
            return await client.patch(f"/v1/orders/{order_id}", json={"note": "x"}, headers=headers)
        case "sync-store":
            return await client.get(f"/v1/sync?channel=store:{store}", headers=headers)
        case "sync-table":
            return await client.get(f"/v1/sync?channel=table:{store}/5", headers=headers)
        case "ops-day":
            return await client.get("/v1/ops/day", headers=headers)
        case "acknowledge":
            # This Core watches an event server that nobody has started.
            events = urlsplit(core.stack.events_url).netloc
            body = {"alert": f"down:{events}"}
            return await client.post("/v1/ops/acknowledgements", json=body, headers=headers)
        case _:
            return await client.get("/metrics", headers=headers)


async def placed(core: CoreService, store: str) -> str:
    response = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(token("owner", store))
    )
    return str(response.json()["id"])


def token_of(role: Role, store: str) -> str:
    if role == "table":
        return token("table", table=f"{store}/5")
    return token(role, *(() if role == "ops" else (store,)))


@pytest.mark.parametrize("action", OWN)
@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_do_with_its_own(core: CoreService, role: Role, action: str) -> None:
    store = new_store()
    order_id = await placed(core, store)
    response = await act(core, action, store, order_id, token_of(role, store))
    assert response.status_code == OWN[action][ROLES.index(role)], response.text


@pytest.mark.parametrize("action", FOREIGN)
@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_do_with_anothers(core: CoreService, role: Role, action: str) -> None:
    store = new_store()
    order_id = await placed(core, store)
    response = await act(core, action, store, order_id, token_of(role, new_store()))
    assert response.status_code == FOREIGN[action][ROLES.index(role)], response.text


@pytest.mark.parametrize("action", OWN)
@pytest.mark.parametrize("who", ["", "nonsense", "expired"])
async def test_nothing_is_done_without_a_good_token(
    core: CoreService, action: str, who: str
) -> None:
    store = new_store()
    order_id = await placed(core, store)
    text = token("owner", store, lifetime_s=-1) if who == "expired" else who
    response = await act(core, action, store, order_id, text)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.json()["type"] == "urn:yabam:problem:unauthorized"


async def test_another_table_of_the_same_store_sees_nothing(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    other = bearer(token("table", table=f"{store}/6"))
    assert (await core.client.get(f"/v1/orders/{order_id}", headers=other)).status_code == 404
    response = await core.client.get(f"/v1/sync?channel=table:{store}/5", headers=other)
    assert response.status_code == 403


async def test_a_table_never_sees_the_owners_fields_not_even_in_a_refusal(
    core: CoreService,
) -> None:
    store = new_store()
    order_id = await placed(core, store)
    table = bearer(token("table", table=f"{store}/5"))
    texts = [
        (await core.client.get(f"/v1/orders/{order_id}", headers=table)).text,
        (await core.client.get(f"/v1/sync?channel=table:{store}/5", headers=table)).text,
        (
            await core.client.get(f"/v1/sync?channel=table:{store}/5&lastEventId=0", headers=table)
        ).text,
        (
            await core.client.patch(
                f"/v1/orders/{order_id}", json={"note": "x"}, headers=table | {"if-match": '"7"'}
            )
        ).text,
        (await core.client.patch(f"/v1/orders/{order_id}", json={"note": "y"}, headers=table)).text,
        (
            await core.client.post(
                f"/v1/orders/{order_id}/transitions", json={"to": "cancelled"}, headers=table
            )
        ).text,
        (await core.client.post("/v1/orders", json=an_order(store), headers=table)).text,
    ]
    assert all(order_id in text or "placed" in text for text in texts), texts
    for text in texts:
        assert "guest" not in text
        assert "placed_by" not in text


async def test_a_guest_may_not_cancel_what_the_kitchen_has_accepted(core: CoreService) -> None:
    store = new_store()
    order_id = await placed(core, store)
    await act(core, "accept", store, order_id, token("owner", store))
    response = await act(core, "cancel", store, order_id, token("table", table=f"{store}/5"))
    assert response.status_code == 403
    assert "guest" not in response.text


async def test_probes_and_the_document_are_open(core: CoreService) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert (await core.client.get(path)).status_code == 200
