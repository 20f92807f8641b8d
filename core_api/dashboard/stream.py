"""`GET /v1/ops/stream`: the figures of the ops page, as server-sent events.

A stream ends by itself after a minute or so, as those of the event servers do; the page reconnects
at once. A stream also ends when its token has expired or was revoked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import msgspec
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import AppStatus, EventSourceResponse, SendTimeoutError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core_api.access.callers import Caller
from core_api.dashboard.figures import Figures
from core_api.dashboard.sampler import Farewell, Sampler, Welcome
from core_api.errors import CoreError
from core_api.http.probes import check_ops

LIFETIME_S: Final = (45.0, 90.0)
_SEND_WITHIN_S: Final = 10.0
_COME_AGAIN_MS: Final = 100
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_NAMES: Final = {Welcome: "hello", Figures: "figures", Farewell: "bye"}

# The drain ends streams with a farewell; sse-starlette would cut them before.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


class OpsStream:
    """Answers the request of a viewer of the ops page.

    Args:
        sampler: gives the figures.
        verify: who holds a token; raises `UnauthorizedError`.
        uniform: a random number between two numbers, evenly distributed, for the lifetimes.
    """

    def __init__(
        self,
        sampler: Sampler,
        verify: Callable[[str], Caller],
        uniform: Callable[[float, float], float],
    ) -> None:
        self._sampler = sampler
        self._verify = verify
        self._uniform = uniform

    async def stream(self, request: Request) -> Response:
        """GET /v1/ops/stream."""
        check_ops(request, self._verify)
        return _Watched(
            self._sampler, self._uniform(*LIFETIME_S), lambda: check_ops(request, self._verify)
        )


class _Watched(EventSourceResponse):
    """A response that counts as a viewer for as long as it is being sent."""

    def __init__(self, sampler: Sampler, lifetime_s: float, check: Callable[[], None]) -> None:
        self._sampler = sampler
        super().__init__(
            _events(sampler, lifetime_s, check), headers=_HEADERS, send_timeout=_SEND_WITHIN_S
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._sampler.viewer(), suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


async def _events(
    sampler: Sampler, lifetime_s: float, check: Callable[[], None]
) -> AsyncIterator[ServerSentEvent]:
    async for one in sampler.watch(lifetime_s):
        try:
            check()
        except CoreError:
            # Expired or revoked meanwhile: the next request is refused with the reason.
            yield _event(Farewell("expired", _COME_AGAIN_MS))
            return
        yield _event(one)


def _event(one: Welcome | Figures | Farewell) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(one).decode(), event=_NAMES[type(one)])
