"""Core's ASGI application: the routes of the table, the middleware, the fast path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from client_sdk.contract.device import HEADER, RECEIPTS_PATH
from client_sdk.contract.order import EPOCH_HEADER
from core_api.api.fast_path import EDITS, SYNC, FastPath
from core_api.api.operations import routes_of
from core_api.api.parameters import UPDATED_AT
from core_api.api.routes import Handlers, operations
from core_api.errors import CoreError
from core_api.http.tracing import Tracing
from core_api.problems import on_http_error
from server_common.http.problem_answers import LastResort

_TAKEN_HEADERS: Final = ("authorization", "content-type", "if-match", "idempotency-key")


def core_app(
    handlers: Handlers,
    cors_origins: list[str],
    pages: Sequence[BaseRoute] = (),
) -> FastPath:
    """The ASGI application: Starlette's, with the fast path before it.

    Args:
        handlers: what answers.
        cors_origins: which other origins' pages may call the API.
        pages: the routes of the pages that people open, and of printers as they are sold.
    """

    def cors(app: ASGIApp) -> CORSMiddleware:
        return CORSMiddleware(
            app,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=[*_TAKEN_HEADERS, HEADER, UPDATED_AT],
            expose_headers=[
                "etag",
                "location",
                "retry-after",
                "idempotency-replayed",
                EPOCH_HEADER,
            ],
            max_age=86_400,
        )

    api = handlers.orders
    app = Starlette(
        routes=[*routes_of(operations(handlers)), *pages],
        middleware=[
            # Outermost, so that pages of other origins can read the answer to a bug too.
            Middleware(cors),
            Middleware(Tracing),
            Middleware(LastResort),
            Middleware(api.metrics.middleware),
        ],
        exception_handlers={CoreError: api.refuse, HTTPException: on_http_error},
    )
    # A path with a slash too many is not found; a redirect would go where the Host header says.
    app.router.redirect_slashes = False
    posts = {SYNC: api.post_sync, EDITS: handlers.state.settle, RECEIPTS_PATH: api.post_receipts}
    return FastPath(app, api.get_sync, posts, api.metrics, cors, api.quick_syncs)
