"""Core's API as one table: each operation with its handler and its description.

The routes that Starlette serves and the OpenAPI document are made from it. Beside it stand only
the pages, which people open in a browser, and CloudPRNT, which its vendor has described.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.device import RECEIPTS_PATH, SEEN_PATH, ReceiptsTaken, SeenTaken
from client_sdk.contract.order import Order
from client_sdk.contract.state.document import Document
from client_sdk.contract.sync import SyncResponse
from core_api.api import parameters
from core_api.api.batch import MAX_BATCH_ORDERS, BatchResults
from core_api.api.handlers import (
    device_handlers,
    ops_handlers,
    order_handlers,
    push_handlers,
    revocation_handlers,
    webhook_handlers,
)
from core_api.api.handlers.device_handlers import Devices, DevicesApi, DeviceToken
from core_api.api.handlers.order_handlers import CoreApi
from core_api.api.handlers.print_handlers import HOLD, STEP, Held, PrintApi, PrintState
from core_api.api.handlers.push_handlers import PushApi
from core_api.api.handlers.revocation_handlers import RevocationsApi
from core_api.api.handlers.state_handlers import ClientState, EditsBody, Settled, StateApi
from core_api.api.handlers.token_handlers import PAIR, OwnerToken, Pairing, TokensApi
from core_api.api.handlers.webhook_handlers import WebhooksApi
from core_api.api.openapi import document
from core_api.api.operations import JSON, Answer, Operation
from core_api.dashboard.waiting import Acknowledged
from core_api.devices.commands.lifecycle import DeviceCommand, DeviceCommands
from core_api.devices.registrations import NewDevice, RegisteredDevice
from core_api.edits.history_reading import HistoryPage
from core_api.orders.history import OrderEvents
from core_api.push.subscriptions import GuestPushes, Pushes, PushKey
from core_api.receipts.holders import OrderDevices
from core_api.webhooks.subscriptions import NewSecret, Webhook, Webhooks

_WRITE_PROBLEMS: Final = (400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503)
_COMMAND: Final = (
    parameters.ORDER_ID, parameters.KEY, parameters.IF_MATCH, parameters.IF_UPDATED_AT
)  # fmt: skip
_DEVICE: Final = (parameters.STORE_ID, parameters.DEVICE_ID)
_STREAM: Final = Answer(None, "text/event-stream", "It goes on until it says bye")
_TEXT: Final = Answer(None, "text/plain")


@dataclass(frozen=True, slots=True)
class Handlers:
    """What answers about each part of the API."""

    orders: CoreApi
    state: StateApi
    devices: DevicesApi
    prints: PrintApi
    tokens: TokensApi
    revocations: RevocationsApi
    webhooks: WebhooksApi
    pushes: PushApi


def operations(handlers: Handlers) -> list[Operation]:
    """All operations of the API, the one that describes them included."""
    api, state, devices = handlers.orders, handlers.state, handlers.devices
    prints, tokens, revocations = handlers.prints, handlers.tokens, handlers.revocations
    webhooks, pushes = handlers.webhooks, handlers.pushes

    @cache  # made for the first who asks: few do, and it would delay each start
    def described() -> bytes:
        return msgspec.json.encode(document(table))

    async def describe(_request: Request) -> Response:
        return Response(described(), media_type=JSON)

    table = [
        Operation(
            "GET", "/v1/sync", "fetchSync", api.sync,
            "Fetch Sync", Answer(SyncResponse),
            (400, 401, 403, 429, 503), (*parameters.SYNC, parameters.DEVICE),
        ),
        Operation(
            "POST", "/v1/sync", "fetchSyncOfBody", api.sync_body,
            "Fetch Sync, with the state vector in the body", Answer(SyncResponse),
            (400, 401, 403, 413, 415, 422, 429, 503), (parameters.DEVICE,),
            order_handlers.SYNC.type,
        ),
        Operation(
            "POST", "/v1/orders", "placeOrder", api.place,
            "Place an order", Answer(Order, status=201),
            (400, 401, 403, 409, 413, 415, 422, 429, 503), (parameters.KEY,),
            order_handlers.PLACE.type,
        ),
        Operation(
            "POST", "/v1/orders/batch", "placeOrders", api.place_batch,
            f"Place up to {MAX_BATCH_ORDERS} orders, each by itself", Answer(BatchResults),
            (400, 401, 413, 415, 422, 429, 503), (), order_handlers.PLACE_BATCH.type,
        ),
        Operation(
            "GET", "/v1/orders/{id}", "readOrder", api.read,
            "Read an order", Answer(Order),
            (401, 404, 429, 503), (parameters.ORDER_ID,),
        ),
        Operation(
            "PATCH", "/v1/orders/{id}", "changeOrder", api.change,
            "Change an order's items or note", Answer(Order),
            _WRITE_PROBLEMS, _COMMAND,
            order_handlers.CHANGE.type,
        ),
        Operation(
            "POST", "/v1/orders/{id}/transitions", "stepOrder", api.transition,
            "Take an order one step further", Answer(Order),
            _WRITE_PROBLEMS, _COMMAND,
            order_handlers.TRANSITION.type,
        ),
        Operation(
            "POST", "/v1/orders/{id}/recalls", "recallOrder", api.recall,
            "Take an order one step back; owners only", Answer(Order),
            _WRITE_PROBLEMS, _COMMAND,
            order_handlers.RECALL.type,
        ),
        Operation(
            "GET", "/v1/orders/{id}/events", "listOrderEvents", state.order_events,
            "What became of an order: who did what", Answer(OrderEvents),
            (400, 401, 404, 429, 503), (parameters.ORDER_ID, parameters.AFTER),
        ),
        Operation(
            "POST", "/v1/edits", "edit", state.edit,
            "Edit documents: each edit is settled once, in the order of its number",
            Answer(Settled), (400, 401, 409, 413, 415, 422, 429, 503), (), EditsBody,
        ),
        Operation(
            "GET", "/v1/edits", "readClient", state.client,
            "How far a client's edits are settled", Answer(ClientState),
            (400, 401, 429, 503), (parameters.CLIENT,),
        ),
        Operation(
            "GET", "/v1/documents", "readDocument", state.document,
            "A document as it stands, or as it was at a version", Answer(Document),
            (400, 401, 403, 404, 429, 503),
            (parameters.DOCUMENT_CHANNEL, parameters.DOCUMENT_KEY, parameters.VERSION),
        ),
        Operation(
            "GET", "/v1/documents/events", "listDocumentEvents", state.events,
            "The history of a document", Answer(HistoryPage), (400, 401, 403, 429, 503),
            (parameters.DOCUMENT_CHANNEL, parameters.DOCUMENT_KEY, parameters.AFTER_ENTRY,
             parameters.ENTRIES),
        ),
        Operation(
            "GET", "/v1/definitions", "listDefinitions", state.definitions,
            "Which documents there may be", Answer(), (401, 429),
        ),
        Operation(
            "GET", "/v1/stores/{id}/devices", "listDevices", devices.list,
            "Which device of a store has received what, and which are registered",
            Answer(Devices), (400, 401, 403, 429, 503), (parameters.STORE_ID,),
        ),
        Operation(
            "PUT", "/v1/stores/{id}/devices/{device}", "registerDevice", devices.put,
            "Register a device, change its registration, or give it another password",
            Answer(NewDevice, also=(201,)), (400, 401, 403, 409, 413, 415, 422, 429, 503),
            _DEVICE, device_handlers.REGISTER.type,
        ),
        Operation(
            "GET", "/v1/stores/{id}/devices/{device}", "readDevice", devices.get,
            "A registered device", Answer(RegisteredDevice),
            (400, 401, 403, 404, 429, 503), _DEVICE,
        ),
        Operation(
            "DELETE", "/v1/stores/{id}/devices/{device}", "removeDevice", devices.remove,
            "End a device's registration", Answer(media_type="", status=204),
            (400, 401, 403, 404, 409, 429, 503), _DEVICE,
        ),
        Operation(
            "POST", "/v1/stores/{id}/devices/{device}/commands", "commandDevice", devices.ask,
            "Ask a device to do something; the same id is the same command",
            Answer(DeviceCommand, status=201, also=(200,)),
            (400, 401, 403, 404, 409, 413, 415, 422, 429, 503), _DEVICE,
            device_handlers.COMMAND.type,
        ),
        Operation(
            "GET", "/v1/stores/{id}/devices/{device}/commands", "listDeviceCommands",
            devices.commands, "What a device was asked to do, the newest first",
            Answer(DeviceCommands), (400, 401, 403, 429, 503), _DEVICE,
        ),
        Operation(
            "GET", "/v1/stores/{id}/devices/{device}/snapshot", "readDeviceSnapshot",
            devices.snapshot, "The newest picture of a device", Answer(media_type="image/*"),
            (400, 401, 403, 404, 429, 503), _DEVICE,
        ),
        Operation(
            "POST", "/v1/devices/token", "deviceToken", devices.token,
            "An access token for a device's user name and password", Answer(DeviceToken),
            (400, 401, 413, 415, 422, 429, 503), (), device_handlers.LOGIN.type,
            needs_token=False,
        ),
        Operation(
            "POST", "/v1/tokens/renewals", "renewToken", tokens.renew,
            "The caller's next token, with the same rights; owners only", Answer(OwnerToken),
            (401, 403, 429),
        ),
        Operation(
            "POST", "/v1/stores/{id}/pairings", "offerPairing", tokens.offer,
            "A code by which one new tablet is let in; owners of the store only",
            Answer(Pairing, status=201), (400, 401, 403, 429, 503), (parameters.STORE_ID,),
        ),
        Operation(
            "POST", "/v1/tokens/pairings", "pairTablet", tokens.pair,
            "A token for the new tablet on which the code was typed", Answer(OwnerToken),
            (400, 401, 413, 415, 422, 429, 503), (), PAIR.type, needs_token=False,
        ),
        Operation(
            "POST", "/v1/stores/{id}/devices/{device}/printer", "holdPrinter", prints.hold,
            "An agent prints on this printer, and says how it is", Answer(Held),
            (400, 401, 403, 409, 413, 415, 422, 429, 503),
            _DEVICE, HOLD.type,
        ),
        Operation(
            "POST", "/v1/stores/{id}/devices/{device}/prints/{print}", "stepPrint", prints.step,
            "Take a print job one step further", Answer(PrintState),
            (400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
            (*_DEVICE, parameters.PRINT_ID), STEP.type,
        ),
        Operation(
            "GET", "/v1/orders/{id}/devices", "listOrderDevices", api.order_devices,
            "On which devices of its store an order is, the last seen first",
            Answer(OrderDevices), (401, 403, 404, 429, 503), (parameters.ORDER_ID,),
        ),
        Operation(
            "POST", SEEN_PATH, "sendSeen", api.seen,
            "Say which orders a device of an owner has shown to a person", Answer(SeenTaken),
            (400, 401, 403, 404, 413, 415, 422, 429, 503), (parameters.DEVICE,),
            order_handlers.SEEN.type,
        ),
        Operation(
            "POST", RECEIPTS_PATH, "sendReceipts", api.receipts,
            "Say what a device of an owner has applied, between its syncs", Answer(ReceiptsTaken),
            (400, 401, 403, 413, 415, 422, 429), (parameters.DEVICE,),
            order_handlers.RECEIPTS.type,
        ),
        Operation(
            "POST", "/v1/revocations", "revoke", revocations.revoke,
            "Revoke a token, a session, or all that a subject was given; ops only",
            Answer(media_type="", status=204), (400, 401, 403, 409, 413, 415, 422, 429, 503),
            (), revocation_handlers.REVOKE.type,
        ),
        Operation(
            "POST", "/v1/webhooks", "addWebhook", webhooks.add,
            "Send what happens in stores to a URL from now on; owners of the stores only",
            Answer(NewSecret, status=201), (400, 401, 403, 409, 413, 415, 422, 429, 503), (),
            webhook_handlers.ADD.type,
        ),
        Operation(
            "GET", "/v1/webhooks", "listWebhooks", webhooks.list,
            "The webhooks of the caller's stores; for ops, all", Answer(Webhooks),
            (401, 403, 429, 503),
        ),
        Operation(
            "GET", "/v1/webhooks/{webhook}", "readWebhook", webhooks.get,
            "A webhook, with how far each of its stores is", Answer(Webhook),
            (400, 401, 403, 404, 429, 503), (parameters.WEBHOOK_ID,),
        ),
        Operation(
            "DELETE", "/v1/webhooks/{webhook}", "removeWebhook", webhooks.remove,
            "Send nothing to this URL any more", Answer(media_type="", status=204),
            (400, 401, 403, 404, 429, 503), (parameters.WEBHOOK_ID,),
        ),
        Operation(
            "POST", "/v1/webhooks/{webhook}/secrets", "rotateWebhook", webhooks.rotate,
            "Another secret; for a day those before sign, too", Answer(NewSecret, status=201),
            (400, 401, 403, 404, 429, 503), (parameters.WEBHOOK_ID, parameters.END_OLD),
        ),
        Operation(
            "POST", "/v1/webhooks/{webhook}/replays", "replayWebhook", webhooks.replay,
            "Send again what comes behind a cursor", Answer(Webhook),
            (400, 401, 403, 404, 413, 415, 422, 429, 503), (parameters.WEBHOOK_ID,),
            webhook_handlers.REPLAY.type,
        ),
        Operation(
            "PUT", "/v1/webhooks/{webhook}/state", "setWebhookState", webhooks.set_state,
            "Resume a webhook; or disable it, which only ops may", Answer(Webhook),
            (400, 401, 403, 404, 413, 415, 422, 429, 503), (parameters.WEBHOOK_ID,),
            webhook_handlers.SET_STATE.type,
        ),
        Operation(
            "GET", "/v1/push", "readPushKey", pushes.key,
            "The key that browsers subscribe with; owners and guests only", Answer(PushKey),
            (401, 403, 429),
        ),
        Operation(
            "GET", "/v1/stores/{id}/pushes", "listPushes", pushes.list,
            "Which browsers are told of the store's orders while no terminal receives them",
            Answer(Pushes), (400, 401, 403, 429, 503), (parameters.STORE_ID,),
        ),
        Operation(
            "PUT", "/v1/stores/{id}/pushes/{device}", "subscribeToPushes", pushes.put,
            "Tell a browser of the store's orders, or go on; owners of the store only",
            Answer(media_type="", status=204), (400, 401, 403, 409, 413, 415, 422, 429, 503),
            (parameters.STORE_ID, parameters.BROWSER_ID), push_handlers.SUBSCRIBE.type,
        ),
        Operation(
            "DELETE", "/v1/stores/{id}/pushes/{device}", "endPushes", pushes.remove,
            "Tell a browser nothing of the store's orders any more",
            Answer(media_type="", status=204), (400, 401, 403, 404, 429, 503),
            (parameters.STORE_ID, parameters.BROWSER_ID),
        ),
        Operation(
            "GET", "/v1/stores/{id}/guest-pushes", "listGuestPushes", pushes.list_guests,
            "Which guests' phones of the store are told of what is ready",
            Answer(GuestPushes), (400, 401, 403, 429, 503), (parameters.STORE_ID,),
        ),
        Operation(
            "DELETE", "/v1/stores/{id}/guest-pushes/{table}/{device}", "removeGuestPush",
            pushes.remove_of_guest,
            "Tell a guest's phone nothing any more; owners of the store only",
            Answer(media_type="", status=204), (400, 401, 403, 404, 429, 503),
            (parameters.STORE_ID, parameters.TABLE_ID, parameters.BROWSER_ID),
        ),
        Operation(
            "PUT", "/v1/guest-pushes/{device}", "tellGuest", pushes.put_guest,
            "Tell a phone when an order of its guest's table is ready, until the party leaves",
            Answer(media_type="", status=204), (400, 401, 403, 409, 413, 415, 422, 429, 503),
            (parameters.BROWSER_ID,), push_handlers.SUBSCRIBE.type,
        ),
        Operation(
            "DELETE", "/v1/guest-pushes/{device}", "endGuestPush", pushes.remove_guest,
            "Tell a guest's phone nothing any more",
            Answer(media_type="", status=204), (400, 401, 403, 404, 429, 503),
            (parameters.BROWSER_ID,),
        ),
        Operation(
            "GET", "/v1/ops/stream", "watchOps", api.ops.stream,
            "What the page /ops shows, as server-sent events: hello, figures, bye", _STREAM,
            (401, 403, 503),
        ),
        Operation(
            "GET", "/v1/ops/day", "readOpsDay", api.ops.day,
            "What the charts of the page /ops show of the last day, a point a minute",
            Answer(ops_handlers.Day), (401, 403, 429, 503),
        ),
        Operation(
            "POST", "/v1/ops/acknowledgements", "acknowledgeAlert", api.ops.acknowledge,
            "Say that somebody sees to an alert of the page /ops; it is shown until that ends",
            Answer(Acknowledged), (400, 401, 403, 404, 413, 415, 422, 429, 503), (),
            ops_handlers.ACKNOWLEDGEMENT.type,
        ),
        Operation(
            "GET", "/healthz", "healthz", api.healthz,
            "The process runs", Answer(), needs_token=False,
        ),
        Operation(
            "GET", "/readyz", "readyz", api.readyz,
            "The process can serve", Answer(), (503,), needs_token=False,
        ),
        Operation(
            "GET", "/metrics", "metrics", api.show_metrics,
            "The numbers of this process, for Prometheus", _TEXT, (401, 403, 429),
        ),
        Operation(
            "GET", "/openapi.json", "openapi", describe,
            "This document", Answer(), needs_token=False,
        ),
    ]  # fmt: skip
    return table
