"""A stream over a WebSocket: the same inputs as from server-sent events.

The `websockets` library does the handshake, masks, pings, and the limit of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from client_sdk.contract.errors import FrameError
from client_sdk.contract.socket import (
    RECEIVED,
    SUBPROTOCOL,
    Received,
    decode_envelope,
    encode_message,
    socket_url,
)
from client_sdk.contract.sse import MAX_EVENT_BYTES, SseEvent
from client_sdk.machine.messages import Failure
from client_sdk.transport.http_failures import refusal, shortened

_CLOSE_S: Final = 1.0
_ROOM_BYTES: Final = 4096
"""The bytes that a message may have in addition to its event's data."""


class SocketFailedError(Exception):
    """The socket could not be opened, or broke.

    Args:
        failure: what went wrong, as the machine takes it.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class SocketTransport:
    """Opens WebSockets in place of streams, one at a time."""

    def __init__(self) -> None:
        self._open: ClientConnection | None = None

    async def events(
        self, stream_url: str, parameters: Mapping[str, str]
    ) -> AsyncGenerator[SseEvent, None]:
        """Open a socket and yield its inputs until the server closes it.

        Args:
            stream_url: the address of the stream, from which the socket's address is made.
            parameters: the parameters of the query.

        Raises:
            SocketFailedError: it could not be opened, broke, or sent a malformed message.
        """
        url = socket_url(stream_url)
        if url is None:
            raise SocketFailedError(Failure("unreachable", "this stream has no WebSocket"))
        try:
            async with connect(
                f"{url}?{urlencode(parameters)}",
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
                compression=None,
                max_size=MAX_EVENT_BYTES + _ROOM_BYTES,
                open_timeout=None,  # the machine has its own time-out for a silent stream
                ping_interval=None,
                close_timeout=_CLOSE_S,
            ) as connection:
                self._open = connection
                try:
                    async for text in connection:
                        said = decode_envelope(text)
                        yield SseEvent(said.event, bytes(said.data).decode(), said.id)
                finally:
                    self._open = None
        except InvalidStatus as error:
            raise SocketFailedError(_refused(error)) from error
        except FrameError as error:
            raise SocketFailedError(Failure("malformed", shortened(str(error)))) from error
        except (ConnectionClosed, WebSocketException, OSError, TimeoutError, EOFError) as error:
            detail = shortened(str(error) or type(error).__name__)
            raise SocketFailedError(Failure("unreachable", detail)) from error

    async def received(self, cursor: str) -> bool:
        """Report what has been applied. Returns whether it was sent, over an open socket."""
        connection = self._open
        if connection is None:
            return False
        message = encode_message(RECEIVED, msgspec.json.encode(Received(cursor)))
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await connection.send(message, text=True)
                return True
        return False


def _refused(error: InvalidStatus) -> Failure:
    answer = error.response
    return refusal(
        answer.status_code, answer.reason_phrase, answer.headers, bytes(answer.body), "ticket"
    )
