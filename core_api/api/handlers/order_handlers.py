"""The handlers of orders and syncs: they read HTTP, call the services and write HTTP, and hold no
rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.device import (
    HEADER,
    MAX_RECEIPTS_BODY_BYTES,
    DeviceReport,
    ReceiptsBody,
    ReceiptsTaken,
    SeenBody,
    SeenTaken,
)
from client_sdk.contract.errors import CursorError
from client_sdk.contract.limits import MAX_SYNC_BODY_BYTES
from client_sdk.contract.order import EPOCH_HEADER
from core_api.access.callers import Caller
from core_api.api.answers import NO_STORE, encoded_answer, json_answer
from core_api.api.batch import MAX_BATCH_BYTES, Batch, place_all
from core_api.api.gate import Gate
from core_api.api.handlers.ops_handlers import OpsApi
from core_api.api.operations import JSON
from core_api.api.quick_syncs import Finishing, QuickSyncs
from core_api.api.request_parts import (
    JsonBody,
    device_of,
    idempotency_of,
    order_id_of,
    seen_of,
)
from core_api.errors import BadRequestError, CoreError, ForbiddenError
from core_api.metrics import CoreMetrics
from core_api.orders.answers import Written
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import ChangeOrder, PlaceOrder, Recall, Seen, Transition
from core_api.orders.permissions import check_devices
from core_api.orders.service import OrderService
from core_api.problems import on_core_error
from core_api.receipts.devices import (
    DeviceLog,
    note_divergence,
    receipts_of,
    sightings_of,
)
from core_api.receipts.holders import OrderDevices
from core_api.receipts.reached import Reached
from core_api.sync.request import SyncBody, SyncRequest, parse_sync, request_of
from core_api.sync.service import FetchSync
from server_common.http.query_string import parse_query

C = TypeVar("C")

PLACE: Final = JsonBody(PlaceOrder)
PLACE_BATCH: Final = JsonBody(Batch, MAX_BATCH_BYTES)
TRANSITION: Final = JsonBody(Transition)
RECALL: Final = JsonBody(Recall)
CHANGE: Final = JsonBody(ChangeOrder)
SYNC: Final = JsonBody(SyncBody, MAX_SYNC_BODY_BYTES)
RECEIPTS: Final = JsonBody(ReceiptsBody, MAX_RECEIPTS_BODY_BYTES)
SEEN: Final = JsonBody(SeenBody)


class CoreApi:
    """The handlers, over the services that they call.

    Args:
        commands: the write path.
        fetch: Fetch Sync.
        devices: collects what devices report.
        reached: which devices and printers have an order.
        gate: lets callers in.
        metrics: what `/metrics` shows.
        ready: raises UnavailableError while Core cannot serve.
        ops: what answers about the processes.
    """

    def __init__(
        self,
        commands: OrderService,
        fetch: FetchSync,
        devices: DeviceLog,
        reached: Reached,
        gate: Gate,
        metrics: CoreMetrics,
        ready: Callable[[], Awaitable[None]],
        ops: OpsApi,
    ) -> None:
        self._commands = commands
        self._fetch = fetch
        self._devices = devices
        self._reached = reached
        self._gate = gate
        self._ready = ready
        self.metrics = metrics
        self.ops = ops

    def quick_syncs(self, path: str, finishing: Finishing) -> QuickSyncs:
        """The handler of plain requests for GET /v1/sync, which bypasses the application.

        Args:
            path: the path of the sync.
            finishing: an application that finishes what was begun there.
        """
        return QuickSyncs(
            path,
            self._gate,
            self._fetch,
            self._answered,
            self._note,
            finishing,
            self.metrics.requests.labels(path, 200),
        )

    async def get_sync(self, authorization: str, device: str | None, query: bytes) -> bytes:
        """The answer's body of GET /v1/sync, from the two headers that it reads and the query.

        Args:
            authorization: the value of `Authorization`; empty: there is none.
            device: the value of `Yabam-Device`; None: there is none.
            query: the query string as it was sent, percent-encoded.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._gate.caller(authorization)
        wanted = parse_sync(parse_query(query.decode("latin-1"), "replace"))
        return await self._synced(caller, device, wanted)

    async def post_sync(self, request: Request) -> bytes:
        """The answer's body of POST /v1/sync.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._gate.caller_of(request)
        wanted = request_of(await SYNC.read(request))
        return await self._synced(caller, request.headers.get(HEADER), wanted)

    async def sync(self, request: Request) -> Response:
        """GET /v1/sync."""
        headers = request.headers
        body = await self.get_sync(
            headers.get("authorization", ""), headers.get(HEADER), request.scope["query_string"]
        )
        return encoded_answer(body)

    async def sync_body(self, request: Request) -> Response:
        """POST /v1/sync."""
        return encoded_answer(await self.post_sync(request))

    async def post_receipts(self, request: Request) -> bytes:
        """The answer's body of POST /v1/receipts, which does not wait until they are stored.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._gate.caller_of(request)
        report = _device_named(request)
        if caller.role != "owner":
            raise ForbiddenError("only devices of an owner report receipts")
        body = await RECEIPTS.read(request)
        try:
            cursor = parse_cursor(body.cursor)
        except CursorError as error:
            raise BadRequestError(str(error), "bad-cursor") from error
        found = receipts_of(caller, report, cursor, body.epoch)
        await self._gate.check_stay(caller)
        self._devices.saw(found)
        return msgspec.json.encode(ReceiptsTaken(len(found)))

    async def receipts(self, request: Request) -> Response:
        """POST /v1/receipts."""
        return encoded_answer(await self.post_receipts(request))

    async def seen(self, request: Request) -> Response:
        """POST /v1/orders/seen: a device has shown these orders to a person.

        Raises:
            ForbiddenError: the caller is no owner.
            BadRequestError: the request names no device.
        """
        caller = self._gate.caller_of(request)
        device = _device_named(request).device
        if caller.role != "owner":
            raise ForbiddenError("only devices of an owner say what they have shown")
        orders = [str(one) for one in (await SEEN.read(request)).orders]
        taken = await self._gate.serve(
            caller, lambda: self._reached.saw(caller.stores, device, orders)
        )
        return json_answer(SeenTaken(taken))

    async def order_devices(self, request: Request) -> Response:
        """GET /v1/orders/{id}/devices: which devices have the order."""
        caller = self._gate.caller_of(request)
        order_id = order_id_of(request)
        found = await self._gate.bounded(lambda: self._holders(caller, order_id))
        return json_answer(found)

    async def place(self, request: Request) -> Response:
        """POST /v1/orders."""
        caller = self._gate.caller_of(request)
        command = await PLACE.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            written = await self._gate.within_deadline(
                self._commands.place(caller, command, idempotency_of(caller, request))
            )
            return _answer(written, {"location": f"/v1/orders/{written.order_id}"})

    async def place_batch(self, request: Request) -> Response:
        """POST /v1/orders/batch: each order by itself, with a result for each."""
        caller = self._gate.caller_of(request)
        batch = await PLACE_BATCH.read(request)
        self._gate.charge(caller, len(batch.items) - 1)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            results = await self._gate.within_deadline(place_all(self._commands, caller, batch))
            return json_answer(results)

    async def transition(self, request: Request) -> Response:
        """POST /v1/orders/{id}/transitions."""
        return await self._on_order(request, TRANSITION, self._commands.transition)

    async def recall(self, request: Request) -> Response:
        """POST /v1/orders/{id}/recalls."""
        return await self._on_order(request, RECALL, self._commands.recall)

    async def change(self, request: Request) -> Response:
        """PATCH /v1/orders/{id}."""
        return await self._on_order(request, CHANGE, self._commands.change)

    async def _on_order(
        self,
        request: Request,
        body: JsonBody[C],
        act: Callable[[Caller, str, C, Seen, Idempotency | None], Awaitable[Written]],
    ) -> Response:
        caller = self._gate.caller_of(request)
        command = await body.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            order_id, seen = order_id_of(request), seen_of(request)
            work = act(caller, order_id, command, seen, idempotency_of(caller, request))
            return _answer(await self._gate.within_deadline(work))

    async def read(self, request: Request) -> Response:
        """GET /v1/orders/{id}."""
        with self._gate.admit():
            caller = self._gate.caller_of(request)
            work = self._commands.read(caller, order_id_of(request))
            found = await self._gate.within_deadline(work)
            await self._gate.check_stay(caller)
            return _answer(found)

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz: the process runs."""
        return encoded_answer(b'{"status":"ok"}')

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz: the process can serve."""
        await self._ready()
        return encoded_answer(b'{"status":"ready"}')

    async def show_metrics(self, request: Request) -> Response:
        """GET /metrics, for ops.

        Raises:
            ForbiddenError: the caller is not of role ops.
        """
        if self._gate.caller_of(request).role != "ops":
            raise ForbiddenError("/metrics takes a token of role ops")
        return Response(self.metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer a `CoreError`: Starlette's handler for it."""
        if isinstance(error, CoreError):
            self.metrics.refused(error.slug)
        return await on_core_error(request, error)

    async def _holders(self, caller: Caller, order_id: str) -> OrderDevices:
        order = await self._commands.find(caller, order_id)
        check_devices(caller, order.store_id)
        await self._devices.flush()
        return await self._reached.of(order.store_id, order.id)

    async def _synced(self, caller: Caller, device: str | None, wanted: SyncRequest) -> bytes:
        return await self._answered(caller, device_of(device), wanted)

    async def _answered(
        self, caller: Caller, report: DeviceReport | None, wanted: SyncRequest
    ) -> bytes:
        named = None if report is None else report.device
        answered = await self._fetch.answer(caller, wanted, named)
        await self._gate.check_stay(caller)
        if report is not None:
            self._note(caller, report, wanted, answered.epoch, answered.heads())
        return answered.body

    def _note(
        self,
        caller: Caller,
        report: DeviceReport,
        wanted: SyncRequest,
        epoch: str,
        heads: Mapping[str, int],
    ) -> None:
        self.metrics.divergences.inc(note_divergence(caller, report, wanted.after))
        epoch = wanted.epoch or epoch
        self._devices.saw(sightings_of(caller, report, wanted.after, epoch, heads))


def _device_named(request: Request) -> DeviceReport:
    report = device_of(request.headers.get(HEADER))
    if report is None:
        raise BadRequestError("name the device: Yabam-Device: till-1; mode=live; pending=0")
    return report


def _answer(written: Written, headers: dict[str, str] | None = None) -> Response:
    names = {"etag": f'"{written.version}"', EPOCH_HEADER: written.epoch}
    headers = NO_STORE | names | (headers or {})
    if written.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(written.body, written.status, headers, JSON)
