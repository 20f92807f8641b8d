"""Core's OpenAPI 3.1 document, its schemas made from the very types that decode the requests."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from client_sdk.contract.channel import CHANNEL_PATTERN
from client_sdk.contract.device import FORM
from client_sdk.contract.order import Order
from client_sdk.contract.problem import MEDIA_TYPE, TITLES, Problem
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS, MAX_WAIT_S, SyncResponse
from client_sdk.contract.text import EPOCH_PATTERN, ID_PATTERN, KEY_PATTERN, ORDER_ID_PATTERN
from core_api.api.batch import Batch, BatchResults
from core_api.orders.lifecycle import ChangeOrder, PlaceOrder, Transition
from core_api.receipts.devices import Devices
from core_api.sync.request import SyncBody

Json = dict[str, Any]
_REF: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_WRITE_PROBLEMS: Final = (400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503)


def document() -> Json:
    """The document."""
    types = [
        Order, PlaceOrder, Transition, ChangeOrder, Batch, BatchResults, SyncBody, SyncResponse,
        Devices, Problem,
    ]  # fmt: skip
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Yabam Core",
            "version": "1",
            "description": "Orders, and the one Fetch Sync that every client lives by.",
        },
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _of(pattern: str) -> Json:
    return {"type": "string", "pattern": f"^{pattern}$"}


def _paths() -> Json:
    order_id = _parameter(
        "id", "path", _of(ORDER_ID_PATTERN) | {"format": "uuid"}, "The order's id"
    )
    key = _parameter(
        "Idempotency-Key",
        "header",
        _of(KEY_PATTERN),
        "The same key and body get the same answer",
    )
    if_match = _parameter(
        "If-Match",
        "header",
        {"type": "string", "pattern": '^"[1-9][0-9]{0,8}"$'},
        "The version that the decision rests on, as its ETag gave it",
    )
    store_id = _parameter("id", "path", _of(ID_PATTERN), "The store")
    device = _parameter(
        "Yabam-Device",
        "header",
        _of(FORM),
        "Which device asks, how it was fed, and how many events wait there for its user",
    )
    return {
        "/v1/orders": {
            "post": _operation(
                "placeOrder", "Place an order", [key], "PlaceOrder",
                {201: "Order"}, (400, 401, 403, 409, 413, 415, 422, 429, 503),
            )
        },
        "/v1/orders/batch": {
            "post": _operation(
                "placeOrders", "Place up to 100 orders, each by itself", [], "Batch",
                {200: "BatchResults"}, (400, 401, 413, 415, 422, 429, 503),
            )
        },
        "/v1/orders/{id}": {
            "get": _operation(
                "readOrder", "Read an order", [order_id], None, {200: "Order"}, (401, 404, 429, 503)
            ),
            "patch": _operation(
                "changeOrder", "Change an order's items or note", [order_id, key, if_match],
                "ChangeOrder", {200: "Order"}, _WRITE_PROBLEMS,
            ),
        },
        "/v1/orders/{id}/transitions": {
            "post": _operation(
                "stepOrder", "Take an order one step further", [order_id, key, if_match],
                "Transition", {200: "Order"}, _WRITE_PROBLEMS,
            )
        },
        "/v1/sync": {
            "get": _operation(
                "fetchSync", "Fetch Sync", [*_sync_parameters(), device], None,
                {200: "SyncResponse"}, (400, 401, 403, 429, 503),
            ),
            "post": _operation(
                "fetchSyncOfBody", "Fetch Sync, with the state vector in the body", [device],
                "SyncBody",
                {200: "SyncResponse"}, (400, 401, 403, 413, 415, 422, 429, 503),
            ),
        },
        "/v1/stores/{id}/devices": {
            "get": _operation(
                "listDevices", "Who has received what: a store's devices, the last seen first",
                [store_id],
                None, {200: "Devices"}, (400, 401, 403, 429, 503),
            )
        },
        "/v1/ops/stream": {
            "get": _stream(
                "watchOps", "What the page /ops shows, as server-sent events: hello, figures, bye",
                (401, 403, 503),
            )
        },
        "/healthz": {"get": _probe("healthz", "The process runs", (200,))},
        "/readyz": {"get": _probe("readyz", "The process can serve", (200, 503))},
    }  # fmt: skip


def _sync_parameters() -> list[Json]:
    channel = {"type": "string", "pattern": f"^{CHANNEL_PATTERN}$"}
    return [
        _parameter(
            "channel",
            "query",
            {
                "type": "array",
                "items": channel,
                "minItems": 1,
                "maxItems": 500,
                "uniqueItems": True,
            },
            "The channels to sync; left out, those of lastEventId",
        ),
        _parameter(
            "lastEventId", "query", _TEXT, "A seq, an event id or a cursor; left out: start anew"
        ),
        _parameter("epoch", "query", _of(EPOCH_PATTERN), "The epoch of the cursor"),
        _parameter(
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            "The most events in the answer",
        ),
        _parameter(
            "wait",
            "query",
            {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S},
            "Seconds to wait for something new",
        ),
        _parameter(
            "orders",
            "query",
            {"type": "integer", "minimum": 1, "maximum": MAX_ORDERS},
            "The most orders in a page of a snapshot; left out: snapshots come whole",
        ),
        _parameter(
            "page",
            "query",
            _TEXT,
            "A snapshot's next: its further page, and nothing else; stands alone or with orders",
        ),
    ]


def _operation(
    name: str,
    summary: str,
    parameters: list[Json],
    body: str | None,
    answers: dict[int, str],
    problems: tuple[int, ...],
) -> Json:
    operation: Json = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            str(status): {
                "description": "Done",
                "content": {"application/json": {"schema": _ref(schema)}},
            }
            for status, schema in answers.items()
        }
        | {str(status): _problem(status) for status in problems},
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(body)}},
        }
    return operation


def _probe(name: str, summary: str, statuses: tuple[int, ...]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            str(status): _problem(status) if status >= 400 else {"description": "Yes"}
            for status in statuses
        },
    }


def _stream(name: str, summary: str, problems: tuple[int, ...]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {
                "description": "It goes on until its end is said",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        }
        | {str(status): _problem(status) for status in problems},
    }


def _problem(status: int) -> Json:
    titles = [title for code, title in TITLES.values() if code == status]
    return {
        "description": "; or ".join(titles),
        "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
    }


def _parameter(name: str, where: str, schema: Json, description: str) -> Json:
    parameter: Json = {"name": name, "in": where, "description": description, "schema": schema}
    if where == "path":
        parameter["required"] = True
    return parameter


def _ref(name: str) -> Json:
    return {"$ref": _REF.format(name=name)}
