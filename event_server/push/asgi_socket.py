"""The portable path's WebSocket: the queue of a stream, written and read by tasks of the ASGI app.

The frames in the queue are the text of server-sent events, as on the portable path of streams; each
becomes a message here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.frames import CloseCode

from client_sdk.contract.socket import SUBPROTOCOL
from event_server.errors import StreamRefusedError
from event_server.push.asgi import QueueSubscriber
from event_server.sockets.handshake import Origins, check_subprotocol
from event_server.sockets.messages import messages_of
from event_server.sockets.session import SocketSession
from event_server.sockets.talk import Talk
from event_server.streams.registry import Streams
from event_server.streams.request_rules import Accepted, parse_request

_OVER: Final = (WebSocketDisconnect, RuntimeError, OSError)
"""What Starlette raises where the other end is gone."""


async def serve_socket(
    socket: WebSocket,
    streams: Streams,
    talk: Talk,
    origins: Origins,
    buffer_bytes: int,
    monotonic: Callable[[], float],
    refused: Callable[[StreamRefusedError], Response],
) -> None:
    """Serve one request for a socket, to its end.

    Args:
        socket: the request.
        streams: where it is opened and closed.
        talk: messages to others, and receipts.
        origins: whose pages may open one.
        buffer_bytes: how much may wait for a slow client.
        monotonic: seconds.
        refused: makes the answer where none may be opened.
    """
    headers = socket.headers
    try:
        check_subprotocol(headers.get("sec-websocket-protocol", ""))
        origins.check(headers.get("origin", ""), headers.get("host", ""))
        request = parse_request(socket.scope["query_string"], "")
        accepted = streams.judge(request, monotonic())
    except StreamRefusedError as error:
        await socket.send_denial_response(refused(error))
        return
    await _Socket(socket, streams, talk, accepted, buffer_bytes, monotonic).serve()


class _Socket:
    """One open socket."""

    def __init__(
        self,
        socket: WebSocket,
        streams: Streams,
        talk: Talk,
        accepted: Accepted,
        buffer_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._streams = streams
        self._talk = talk
        self._accepted = accepted
        self._monotonic = monotonic
        self._over = asyncio.Event()
        self._subscriber = QueueSubscriber(
            buffer_bytes,
            lambda: streams.slow(self._subscriber, monotonic()),
            self._over.set,
        )
        self._session = SocketSession(streams, talk, self._subscriber, accepted, monotonic())

    async def serve(self) -> None:
        """Open it, and serve until it ends or the client leaves."""
        self._talk.join(self._subscriber)
        # It is opened in the same step in which it was judged; what it is sent waits in the queue.
        self._streams.open(self._subscriber, self._accepted, self._monotonic())
        tasks: list[asyncio.Task[object]] = []
        try:
            with contextlib.suppress(*_OVER):
                await self._socket.accept(SUBPROTOCOL)
                tasks += [
                    asyncio.create_task(self._write(), name="socket-out"),
                    asyncio.create_task(self._read(), name="socket-in"),
                    asyncio.create_task(self._over.wait(), name="socket-end"),
                ]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._streams.close(self._subscriber)
            self._talk.leave(self._subscriber)

    async def _write(self) -> None:
        async for chunk in self._subscriber.chunks():
            for message in messages_of(chunk):
                await self._socket.send_text(message.decode("utf-8", "replace"))
        await self._socket.close(CloseCode.NORMAL_CLOSURE)

    async def _read(self) -> None:
        while True:
            said = await self._socket.receive()
            if said["type"] == "websocket.disconnect":
                return
            now = self._monotonic()
            text = said.get("text")
            if text is None:
                await self._socket.close(CloseCode.UNSUPPORTED_DATA, "messages are text")
                return
            if not self._session.may_go_on(now):
                await self._socket.close(CloseCode.POLICY_VIOLATION, "too many messages")
                return
            self._session.take(text, now)
