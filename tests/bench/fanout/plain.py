"""The usual way to use sse-starlette: a queue and a generator for each client."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_QUEUES: defaultdict[str, set[asyncio.Queue[tuple[int, str]]]] = defaultdict(set)
_seqs: defaultdict[str, int] = defaultdict(int)


async def _stream(request: Request) -> Response:
    channel = request.query_params["channel"]
    queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue(1000)

    async def events() -> AsyncIterator[ServerSentEvent]:
        _QUEUES[channel].add(queue)
        try:
            while True:
                seq, data = await queue.get()
                yield ServerSentEvent(data, event="order.placed", id=f"store:{channel}@{seq}")
        finally:
            _QUEUES[channel].discard(queue)

    return EventSourceResponse(events())


async def _publish(request: Request) -> Response:
    channel = request.query_params["channel"]
    _seqs[channel] += 1
    data = (await request.body()).decode()
    for queue in _QUEUES[channel]:
        queue.put_nowait((_seqs[channel], data))
    return Response(status_code=201)


async def _ready(_request: Request) -> Response:
    return Response()


app = Starlette(
    routes=[
        Route("/stream", _stream),
        Route("/publish", _publish, methods=["POST"]),
        Route("/ready", _ready),
    ]
)
