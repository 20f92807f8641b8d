"""Core's routes: HTTP in, the services called, HTTP out. No rule stands here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from client_sdk.contract.device import HEADER
from client_sdk.contract.limits import MAX_SYNC_BODY_BYTES
from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.api.batch import MAX_BATCH_BYTES, Batch, place_all
from core_api.api.openapi import document
from core_api.api.request_parts import decoded, device_of, idempotency_of, if_match_of, store_of
from core_api.errors import (
    CoreError,
    ForbiddenError,
    UnauthorizedError,
    UnavailableError,
)
from core_api.http.tracing import Tracing
from core_api.metrics import CoreMetrics
from core_api.orders.answers import Written
from core_api.orders.lifecycle import ChangeOrder, PlaceOrder, Transition
from core_api.orders.permissions import check_devices
from core_api.orders.service import OrderService
from core_api.overload import Bound, RateLimit
from core_api.problems import on_core_error, on_http_error, read_request_body
from core_api.receipts.devices import DeviceLog, Devices, note_divergence, sightings_of
from core_api.sync.fast_path import QuickSync
from core_api.sync.request import SyncBody, SyncRequest, parse_sync, request_of
from core_api.sync.service import FetchSync
from server_common.problem_answers import LastResort
from server_common.query_string import parse_query

A = TypeVar("A")
JSON: Final = "application/json"
_NO_STORE: Final = {"cache-control": "no-store"}

_place: Final = msgspec.json.Decoder(PlaceOrder)
_transition: Final = msgspec.json.Decoder(Transition)
_change: Final = msgspec.json.Decoder(ChangeOrder)
_sync: Final = msgspec.json.Decoder(SyncBody)
_batch: Final = msgspec.json.Decoder(Batch)


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """How much is taken on at once, from whom, and for how long (seconds)."""

    commands: Bound
    """A request counts once its body is there: one that comes slowly must keep nobody out."""
    rate: RateLimit
    deadline_s: float


class CoreApi:
    """The handlers, over the services that they call.

    Args:
        commands: the write path.
        fetch: Fetch Sync.
        devices: collects what devices report, and shows it.
        tokens: verifies access tokens.
        metrics: what `/metrics` shows.
        limits: how much is taken on at once, and from whom.
        ready: raises UnavailableError while Core cannot serve.
        pages: the routes of the pages that people open.
    """

    def __init__(
        self,
        commands: OrderService,
        fetch: FetchSync,
        devices: DeviceLog,
        tokens: TokenKeys,
        metrics: CoreMetrics,
        limits: ApiLimits,
        ready: Callable[[], Awaitable[None]],
        pages: Sequence[BaseRoute] = (),
    ) -> None:
        self._commands = commands
        self._fetch = fetch
        self._devices = devices
        self._tokens = tokens
        self._metrics = metrics
        self._limits = limits
        self._ready = ready
        self._pages = pages
        self._openapi = msgspec.json.encode(document())

    def app(self, cors_origins: list[str]) -> ASGIApp:
        """The ASGI application: Starlette's, with the quick way of `/v1/sync` before it."""

        def cors(app: ASGIApp) -> CORSMiddleware:
            return CORSMiddleware(
                app,
                allow_origins=cors_origins,
                allow_methods=["GET", "POST", "PATCH"],
                allow_headers=[
                    "authorization",
                    "content-type",
                    "if-match",
                    "idempotency-key",
                    HEADER,
                ],
                expose_headers=["etag", "location", "retry-after", "idempotency-replayed"],
                max_age=86_400,
            )

        return QuickSync(self.starlette(cors), self.get_sync, self.post_sync, self._metrics, cors)

    def starlette(self, cors: Callable[[ASGIApp], ASGIApp]) -> Starlette:
        """All routes, without the quick way."""
        app = Starlette(
            routes=[
                _route("/v1/sync", GET=self.sync, POST=self.sync_body),
                Route("/v1/orders", self.place, methods=["POST"]),
                Route("/v1/orders/batch", self.place_batch, methods=["POST"]),
                _route("/v1/orders/{id}", GET=self.read, PATCH=self.change),
                Route("/v1/orders/{id}/transitions", self.transition, methods=["POST"]),
                Route("/v1/stores/{id}/devices", self.devices, methods=["GET"]),
                Route("/healthz", self.healthz, methods=["GET"]),
                Route("/readyz", self.readyz, methods=["GET"]),
                Route("/metrics", self.show_metrics, methods=["GET"]),
                Route("/openapi.json", self.openapi, methods=["GET"]),
                *self._pages,
            ],
            middleware=[
                # Outermost, so that pages of other origins can read the answer to a bug too.
                Middleware(cors),
                Middleware(Tracing),
                Middleware(LastResort),
                Middleware(self._metrics.middleware),
            ],
            exception_handlers={CoreError: self._on_core_error, HTTPException: on_http_error},
        )
        # A path with a slash too many is not found; a redirect would go where the Host header says.
        app.router.redirect_slashes = False
        return app

    async def get_sync(self, authorization: str, device: str | None, query: bytes) -> bytes:
        """The answer's body of GET /v1/sync, from the two headers that it heeds and the query.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._caller(authorization)
        wanted = parse_sync(parse_query(query.decode("latin-1"), "replace"))
        return await self._synced(caller, device, wanted)

    async def post_sync(self, request: Request) -> bytes:
        """The answer's body of POST /v1/sync.

        Raises:
            CoreError: the request is refused.
        """
        caller = self._caller_of(request)
        wanted = request_of(decoded(_sync, await read_request_body(request, MAX_SYNC_BODY_BYTES)))
        return await self._synced(caller, request.headers.get(HEADER), wanted)

    async def sync(self, request: Request) -> Response:
        """GET /v1/sync."""
        headers = request.headers
        body = await self.get_sync(
            headers.get("authorization", ""), headers.get(HEADER), request.scope["query_string"]
        )
        return Response(body, media_type=JSON, headers=_NO_STORE)

    async def sync_body(self, request: Request) -> Response:
        """POST /v1/sync."""
        return Response(await self.post_sync(request), media_type=JSON, headers=_NO_STORE)

    async def devices(self, request: Request) -> Response:
        """GET /v1/stores/{id}/devices: who has received what."""
        caller = self._caller_of(request)
        store_id = store_of(request)
        check_devices(caller, store_id)
        with self._limits.commands.admit():
            found = await self._within_deadline(self._devices.of_store(store_id))
        return Response(msgspec.json.encode(Devices(found)), media_type=JSON, headers=_NO_STORE)

    async def place(self, request: Request) -> Response:
        """POST /v1/orders."""
        caller = self._caller_of(request)
        command = decoded(_place, await read_request_body(request))
        with self._limits.commands.admit():
            written = await self._within_deadline(
                self._commands.place(caller, command, idempotency_of(caller, request))
            )
            return _answer(written, {"location": f"/v1/orders/{written.order_id}"})

    async def place_batch(self, request: Request) -> Response:
        """POST /v1/orders/batch: each order by itself, with a result for each."""
        caller = self._caller_of(request)
        batch = decoded(_batch, await read_request_body(request, MAX_BATCH_BYTES))
        with self._limits.commands.admit():
            results = await self._within_deadline(place_all(self._commands, caller, batch))
            return Response(msgspec.json.encode(results), media_type=JSON, headers=_NO_STORE)

    async def transition(self, request: Request) -> Response:
        """POST /v1/orders/{id}/transitions."""
        caller = self._caller_of(request)
        command = decoded(_transition, await read_request_body(request))
        with self._limits.commands.admit():
            work = self._commands.transition(
                caller,
                request.path_params["id"],
                command,
                if_match_of(request),
                idempotency_of(caller, request),
            )
            return _answer(await self._within_deadline(work))

    async def change(self, request: Request) -> Response:
        """PATCH /v1/orders/{id}."""
        caller = self._caller_of(request)
        command = decoded(_change, await read_request_body(request))
        with self._limits.commands.admit():
            work = self._commands.change(
                caller,
                request.path_params["id"],
                command,
                if_match_of(request),
                idempotency_of(caller, request),
            )
            return _answer(await self._within_deadline(work))

    async def read(self, request: Request) -> Response:
        """GET /v1/orders/{id}."""
        with self._limits.commands.admit():
            caller = self._caller_of(request)
            work = self._commands.read(caller, request.path_params["id"])
            return _answer(await self._within_deadline(work))

    async def healthz(self, _request: Request) -> Response:
        """GET /healthz: the process runs."""
        return Response(b'{"status":"ok"}', media_type=JSON, headers=_NO_STORE)

    async def readyz(self, _request: Request) -> Response:
        """GET /readyz: the process can serve."""
        await self._ready()
        return Response(b'{"status":"ready"}', media_type=JSON, headers=_NO_STORE)

    async def show_metrics(self, request: Request) -> Response:
        """GET /metrics, for ops."""
        if self._caller_of(request).role != "ops":
            raise ForbiddenError("/metrics takes a token of role ops")
        return Response(self._metrics.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(self, _request: Request) -> Response:
        """GET /openapi.json."""
        return Response(self._openapi, media_type=JSON)

    async def _on_core_error(self, request: Request, error: Exception) -> Response:
        if isinstance(error, CoreError):
            self._metrics.refused(error.slug)
        return await on_core_error(request, error)

    async def _synced(self, caller: Caller, device: str | None, wanted: SyncRequest) -> bytes:
        report = device_of(device)
        answered = await self._fetch.answer(caller, wanted)
        if report is not None:
            self._metrics.diverged(note_divergence(caller, report, wanted.after))
            epoch = wanted.epoch or answered.epoch
            heads = answered.heads()
            self._devices.saw(sightings_of(caller, report, wanted.after, epoch, heads))
        return answered.body

    def _caller_of(self, request: Request) -> Caller:
        return self._caller(request.headers.get("authorization", ""))

    def _caller(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthorizedError("send an access token as Authorization: Bearer …")
        caller = self._tokens.verify(token.strip())
        self._limits.rate.take(caller.subject)
        return caller

    async def _within_deadline(self, work: Coroutine[Any, Any, A]) -> A:
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                return await work
        except TimeoutError:
            raise UnavailableError(
                f"it was not done within {self._limits.deadline_s:g} s"
            ) from None


def _route(path: str, **handlers: Callable[[Request], Awaitable[Response]]) -> Route:
    """One route for all methods of a path, so that a 405 tells of all of them."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))


def _answer(written: Written, headers: dict[str, str] | None = None) -> Response:
    headers = _NO_STORE | {"etag": f'"{written.version}"'} | (headers or {})
    if written.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(written.body, written.status, headers, JSON)
