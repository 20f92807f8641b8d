"""The fast path of `/v1/sync` and `POST /v1/edits`: ahead of Starlette's stack, with the same
functions as behind it.

In a storm every client sends a sync, and each tap on a phone sends an edit; routing, middleware and
request objects cost as much as an edit's answer does, and several times what a sync's does. So this
answers them from the bare ASGI scope. Every other request goes on to Starlette, whose own routes
answer these the same way, byte for byte; a test compares both.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from client_sdk.contract.device import HEADER
from core_api.api.quick_syncs import Finishing, QuickSyncs
from core_api.errors import CoreError
from core_api.http.tracing import traced, traceparents
from core_api.metrics import CoreMetrics
from core_api.problems import on_core_error
from server_common.http.problem_answers import internal_error
from server_common.logs import get_logger

log = get_logger()

SYNC: Final = "/v1/sync"
EDITS: Final = "/v1/edits"
_DEVICE: Final = HEADER.lower().encode("latin-1")

_Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
# As the CORS middleware writes it where there is no origin.
_VARY: Final[_Headers] = ((b"vary", b"Origin"),)

Get: TypeAlias = Callable[[str, str | None, bytes], Awaitable[bytes]]
Post: TypeAlias = Callable[[Request], Awaitable[bytes]]
Work: TypeAlias = Callable[[], Awaitable[bytes]]


class FastPath:
    """ASGI middleware that answers `GET /v1/sync` and what is posted to some paths itself.

    Args:
        app: what answers all else.
        get: the answer's body of `GET /v1/sync`, from the headers Authorization and the device's,
            and the query.
        posts: by path, what makes the answer's body from the request.
        metrics: counts the request under its route.
        cors: wraps what answers pages of other origins, as `app` is wrapped.
        quick: makes what answers plain requests at the connection, from the path and from what
            finishes those that it begins.
    """

    def __init__(
        self,
        app: ASGIApp,
        get: Get,
        posts: Mapping[str, Post],
        metrics: CoreMetrics,
        cors: Callable[[ASGIApp], ASGIApp],
        quick: Callable[[str, Finishing], QuickSyncs],
    ) -> None:
        self.behind = app
        """What answers all else, and would answer this too."""
        self.quick = quick(SYNC, self.finishing)
        """What answers plain syncs ahead of this, at the connection."""
        self._get = get
        self._posts = posts
        self._metrics = metrics
        self._cors = cors(self._respond)
        self._plain = partial(self._respond, more=_VARY)
        self._served = {path: metrics.requests.labels(path, 200) for path in (SYNC, *posts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] != "http" or not self._is_ours(scope["path"], scope["method"]):
            await self.behind(scope, receive, send)
            return
        headers = _first_of_each(scope)
        answer = self._cors if b"origin" in headers else self._plain
        if b"traceparent" in headers:
            with traced(traceparents(scope)):
                await answer(scope, receive, send)
        else:
            await answer(scope, receive, send)

    def finishing(self, work: Work, began: float) -> ASGIApp:
        """An application that answers one request of `GET /v1/sync` with the result of `work`.

        Args:
            work: the rest of the request; raises the error that the request is refused with.
            began: when it came (`time.perf_counter`).
        """
        return partial(self._respond, more=_VARY, work=work, began=began)

    def _is_ours(self, path: str, method: str) -> bool:
        return path in self._posts if method == "POST" else method == "GET" and path == SYNC

    async def _respond(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        more: _Headers = (),
        work: Work | None = None,
        began: float | None = None,
    ) -> None:
        began = time.perf_counter() if began is None else began
        path = scope["path"]
        try:
            if work is not None:
                body = await work()
            elif scope["method"] == "POST":
                body = await self._posts[path](Request(scope, receive))
            else:
                body = await self._get(*_headers_of(scope), scope["query_string"])
        except Exception as error:
            refusal = await _refusal(scope, error, self._metrics)
            self._metrics.requests.labels(path, refusal.status_code).observe(
                time.perf_counter() - began
            )
            refusal.raw_headers.extend(more)
            await refusal(scope, receive, send)
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"cache-control", b"no-store"),
                    (b"content-length", b"%d" % len(body)),
                    (b"content-type", b"application/json"),
                    *more,
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})
        self._served[path].observe(time.perf_counter() - began)


def _headers_of(scope: Scope) -> tuple[str, str | None]:
    """Authorization and the device's."""
    headers = _first_of_each(scope)
    device = headers.get(_DEVICE)
    return (
        headers.get(b"authorization", b"").decode("latin-1"),
        None if device is None else device.decode("latin-1"),
    )


def _first_of_each(scope: Scope) -> dict[bytes, bytes]:
    """The headers; where a name occurs several times, the first counts, as in Starlette."""
    return dict(reversed(scope["headers"]))


async def _refusal(scope: Scope, error: Exception, metrics: CoreMetrics) -> Response:
    metrics.refused(error.slug if isinstance(error, CoreError) else "internal")
    if isinstance(error, CoreError):
        return await on_core_error(Request(scope), error)
    log.error("request_failed", path=scope["path"], exc_info=error)
    return internal_error()
