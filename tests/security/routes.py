"""All routes of Core, each with a request that succeeds for a permitted caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from httpx import AsyncClient, Response

from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.push_service import Browser

OPEN = frozenset({"/healthz", "/readyz", "/openapi.json"})
TABLE = "5"
DEVICE = "bell-1"


@dataclass(frozen=True)
class Call:
    """One request."""

    route: str
    """Its path in the OpenAPI document."""
    method: str
    path: str
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, client: AsyncClient, who: str) -> Response:
        """Send the request with this token. Returns the answer."""
        headers = bearer(who) | self.headers
        return await client.request(self.method, self.path, json=self.json, headers=headers)


def calls(store: str, order_id: str, *, streams: bool = True) -> list[Call]:
    """A request to each route that concerns this store, or this order at its table 5.

    `streams`: whether to include the route that answers for a minute to permitted callers.
    """
    order = f"/v1/orders/{order_id}"
    return [
        Call("/v1/sync", "GET", f"/v1/sync?channel=store:{store}"),
        Call("/v1/sync", "GET", f"/v1/sync?channel=table:{store}/{TABLE}"),
        Call("/v1/sync", "GET", f"/v1/sync?lastEventId=store:{store}@0"),
        Call("/v1/sync", "POST", "/v1/sync", {"channels": {f"store:{store}": 0}}),
        Call("/v1/orders", "POST", "/v1/orders", an_order(store, TABLE)),
        Call("/v1/orders/batch", "POST", "/v1/orders/batch", a_batch(store)),
        Call("/v1/orders/{id}", "GET", order),
        Call("/v1/orders/{id}", "PATCH", order, {"note": "mine now"}),
        Call("/v1/orders/{id}/transitions", "POST", f"{order}/transitions", {"to": "cancelled"}),
        Call("/v1/orders/{id}/transitions", "POST", f"{order}/transitions", {"to": "accepted"}),
        Call("/v1/orders/{id}/recalls", "POST", f"{order}/recalls", {"to": "placed"}),
        Call("/v1/orders/{id}/events", "GET", f"{order}/events"),
        Call("/v1/documents/events", "GET", f"/v1/documents/events?channel=team:{store}&key=shift"),
        Call("/v1/edits", "POST", "/v1/edits", an_edit(store)),
        Call("/v1/orders/{id}/devices", "GET", f"{order}/devices"),
        Call(
            "/v1/orders/seen",
            "POST",
            "/v1/orders/seen",
            {"orders": [order_id]},
            {"yabam-device": "till-1; mode=live; pending=0"},
        ),
        Call(
            "/v1/receipts",
            "POST",
            "/v1/receipts",
            {"cursor": f"store:{store}@0", "epoch": "E1"},
            {"yabam-device": "till-1; mode=live; pending=0"},
        ),
        Call(
            "/v1/revocations",
            "POST",
            "/v1/revocations",
            {"kind": "token", "name": "of-nobody", "until": 4_000_000_000},
        ),
        Call("/v1/stores/{id}/devices", "GET", f"/v1/stores/{store}/devices"),
        Call("/v1/stores/{id}/pairings", "POST", f"/v1/stores/{store}/pairings"),
        *device_calls(store),
        *push_calls(store),
        Call("/v1/webhooks", "POST", "/v1/webhooks", a_webhook(store)),
        *webhook_calls("wh-none", store),
        Call("/metrics", "GET", "/metrics"),
        Call("/v1/ops/day", "GET", "/v1/ops/day"),
        Call("/v1/ops/acknowledgements", "POST", "/v1/ops/acknowledgements", {"alert": "none"}),
        *([Call("/v1/ops/stream", "GET", "/v1/ops/stream")] if streams else []),
    ]


def device_calls(store: str) -> list[Call]:
    """A request to each route that concerns a device of this store."""
    route = "/v1/stores/{id}/devices/{device}"
    path = f"/v1/stores/{store}/devices/{DEVICE}"
    return [
        Call(route, "PUT", path, {}),
        Call(route, "GET", path),
        Call(f"{route}/commands", "POST", f"{path}/commands", {"name": "blink"}),
        Call(f"{route}/commands", "GET", f"{path}/commands"),
        Call(f"{route}/snapshot", "GET", f"{path}/snapshot"),
        Call(f"{route}/printer", "POST", f"{path}/printer", {"agent": "a", "leaving": True}),
        Call(f"{route}/prints/{{print}}", "POST", f"{path}/prints/none", a_step()),
        Call(route, "DELETE", path),
    ]


def push_calls(store: str) -> list[Call]:
    """A request to each route that concerns Web Push about this store's orders."""
    route, path = "/v1/stores/{id}/pushes/{device}", f"/v1/stores/{store}/pushes/phone"
    guests, theirs = "/v1/stores/{id}/guest-pushes", f"/v1/stores/{store}/guest-pushes"
    return [
        Call(guests, "GET", theirs),
        Call(f"{guests}/{{table}}/{{device}}", "DELETE", f"{theirs}/5/phone"),
        Call("/v1/stores/{id}/pushes", "GET", f"/v1/stores/{store}/pushes"),
        Call(route, "PUT", path, a_subscription()),
        Call(route, "DELETE", path),
    ]


def guest_push_calls() -> list[Call]:
    """A request to each route of Web Push for guests; the table is that of the token."""
    route, path = "/v1/guest-pushes/{device}", "/v1/guest-pushes/phone"
    return [Call(route, "PUT", path, a_subscription()), Call(route, "DELETE", path)]


def a_subscription() -> dict[str, Any]:
    """The body with which a browser subscribes to a store's orders."""
    wanted: dict[str, Any] = msgspec.to_builtins(Browser("https://push.example/p").subscription)
    return wanted


def webhook_calls(webhook: str, store: str) -> list[Call]:
    """A request to each route that concerns a webhook of this store."""
    route, path = "/v1/webhooks/{webhook}", f"/v1/webhooks/{webhook}"
    return [
        Call(route, "GET", path),
        Call(f"{route}/secrets", "POST", f"{path}/secrets"),
        Call(f"{route}/replays", "POST", f"{path}/replays", {"cursor": f"store:{store}@0"}),
        Call(f"{route}/state", "PUT", f"{path}/state", {"state": "active"}),
        Call(route, "DELETE", path),
    ]


def a_webhook(store: str) -> dict[str, Any]:
    """The body of a webhook of this store."""
    return {"url": "https://example.com/orders", "stores": [store]}


def a_step() -> dict[str, Any]:
    """The body of a step of a print job, by an agent that does not hold the printer."""
    return {"step": "take", "agent": "a"}


FOR_EVERY_TOKEN = (
    Call("/v1/definitions", "GET", "/v1/definitions"),
    Call("/v1/edits", "GET", "/v1/edits?client=c"),
    Call("/v1/documents", "GET", "/v1/documents?channel=global&key=notice"),
)
"""The routes that contain nothing of any store."""


LOGIN = Call(
    "/v1/devices/token", "POST", "/v1/devices/token", {"user": "12~bell-1~1", "password": "guessed"}
)
"""It needs a password instead of a token."""

PAIR = Call("/v1/tokens/pairings", "POST", "/v1/tokens/pairings", {"store": "12", "code": "000000"})
"""It needs a code instead of a token."""

RENEW = Call("/v1/tokens/renewals", "POST", "/v1/tokens/renewals")
"""It contains nothing of any store, and is for owners only."""


PUSH_KEY = Call("/v1/push", "GET", "/v1/push")
"""It answers what is public, and is for owners and guests only."""

WEBHOOKS = Call("/v1/webhooks", "GET", "/v1/webhooks")
"""It answers the webhooks of the caller's own stores."""


def an_edit(store: str) -> dict[str, Any]:
    """The body of an edit of a document of the store's team."""
    edit = {"n": 1, "channel": f"team:{store}", "key": "shift", "do": {"set": {"people": {}}}}
    return {"client": f"c-{new_store()}", "edits": [edit]}


def a_batch(store: str) -> dict[str, Any]:
    """The body of a batch of one order."""
    return {"items": [{"idempotency_key": f"k-{new_store()}", "order": an_order(store, TABLE)}]}


def refused(response: Response) -> bool:
    """Whether the caller was refused, and got no data."""
    if response.status_code == 200 and "results" in response.json():
        (result,) = response.json()["results"]
        return result["status"] in (403, 404) and result["order"] is None
    if response.status_code == 200 and "outcomes" in response.json():
        return all(one["outcome"] == "refused" for one in response.json()["outcomes"])
    if response.status_code == 409 and response.request.url.path == "/v1/edits":
        # A client id belongs to the subject that used it first; another one is told only that.
        return bool(response.json()["type"].endswith(":client-taken"))
    return response.status_code in (403, 404)


async def placed(core: CoreService, store: str, table: str | None = TABLE, **more: Any) -> str:
    """Place an order in this store. Returns its id."""
    response = await core.client.post(
        "/v1/orders", json=an_order(store, table, **more), headers=bearer(token("owner", store))
    )
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def seen(core: CoreService, store: str) -> tuple[int, dict[str, tuple[str, int, str]]]:
    """The store's head, and its open orders, as the role ops sees them."""
    response = await core.client.get(
        f"/v1/sync?channel=store:{store}", headers=bearer(token("ops"))
    )
    (channel,) = response.json()["channels"]
    orders = (channel["snapshot"] or {"orders": []})["orders"]
    return channel["head"], {o["id"]: (o["status"], o["version"], o["note"]) for o in orders}
