"""What Core logs of an order: one line per event, with the order and the trace."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def lines_about(core: CoreService, order_id: str) -> list[dict[str, Any]]:
    """What Core's process has logged of the order."""
    logged = core.stack.core.log.read_text().splitlines()
    found = [json.loads(line) for line in logged if order_id in line]
    return [line for line in found if line.get("order_id") == order_id]


async def test_each_event_of_an_order_is_a_line_with_its_trace(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    placed = await core.client.post(
        "/v1/orders", json=an_order(store), headers=bearer(owner, traceparent=PARENT)
    )
    order_id = placed.json()["id"]
    path = f"/v1/orders/{order_id}/transitions"
    await core.client.post(path, json={"to": "accepted"}, headers=bearer(owner))
    first, second = lines_about(core, order_id)
    assert first["event"] == second["event"] == "order_written"
    assert (first["type"], first["version"], first["store_id"]) == ("order.placed", 1, store)
    assert (second["type"], second["version"]) == ("order.accepted", 2)
    assert first["trace_id"] == TRACE
    assert "trace_id" not in second


async def test_a_retry_that_changes_nothing_is_no_second_event(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("producer", store), idempotency_key=f"once-{store}")
    body = an_order(store)
    first = await core.client.post("/v1/orders", json=body, headers=headers)
    again = await core.client.post("/v1/orders", json=body, headers=headers)
    assert first.json() == again.json()
    assert len(lines_about(core, first.json()["id"])) == 1


async def test_what_a_guest_wrote_is_in_no_line(core: CoreService) -> None:
    store = new_store()
    body = an_order(store, note="the-note-of-a-guest", guest={"name": "Kim-of-the-guests"})
    response = await core.client.post(
        "/v1/orders", json=body, headers=bearer(token("owner", store))
    )
    assert response.status_code == 201
    logged = core.stack.core.log.read_text()
    assert "the-note-of-a-guest" not in logged
    assert "Kim-of-the-guests" not in logged
