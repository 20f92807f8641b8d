"""The HTTP side of the client: syncs, streams and receipts; errors become inputs.

Every read has a limit: an answer `MAX_SYNC_BYTES`, all answers of one sync together
`snapshot_pages.MAX_PAGED_SYNC_BYTES`, an event `sse.MAX_EVENT_BYTES`. Whatever a server answers
becomes an input: this module raises no error that a server caused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from client_sdk.checkpoint import Checkpoint
from client_sdk.contract.channel import carries_documents
from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.device import (
    HEADER,
    RECEIPTS_PATH,
    SEEN_PATH,
    DeviceReport,
    ReceiptsBody,
    encode_receipts_body,
    format_device,
)
from client_sdk.contract.errors import FrameError
from client_sdk.contract.limits import MAX_SYNC_BYTES
from client_sdk.contract.sse import SseParser
from client_sdk.contract.state.sync import decode_mixed_sync
from client_sdk.contract.sync import MAX_ORDERS, SyncResponse, decode_sync
from client_sdk.machine.messages import (
    Failure,
    FailureKind,
    Input,
    OpenStream,
    StartSync,
    StreamBye,
    StreamEnded,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
)
from client_sdk.machine.snapshot_pages import Assembly
from client_sdk.transport.http_bodies import (
    PACKED,
    PLAIN,
    bearer,
    opened,
    plain_chunks,
    read_body,
)
from client_sdk.transport.http_failures import refusal, shortened
from client_sdk.transport.socket_transport import SocketFailedError, SocketTransport
from client_sdk.transport.stream_events import input_of

_MAX_CHANNELS_IN_URL: Final = 40
_MAX_QUERY_CHARS: Final = 32 << 10
_MAX_PROBLEM_BYTES: Final = 64 << 10
_END_FOLLOWS_WITHIN_S: Final = 1.0
_RECEIPTS_TIMEOUT_S: Final = 5.0
_NO_SOCKETS: Final = Failure("unreachable", "there are no WebSockets here")
_UNREACHABLE: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)


class Transport:
    """Core and the event servers, over one `httpx.AsyncClient`.

    Args:
        http: the client; its base URL is Core's.
        report: returns what each sync tells Core of this device; None: nothing.
        sockets: opens WebSockets; None: do not use them, as with a test's connections.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        report: Callable[[], DeviceReport] | None = None,
        sockets: SocketTransport | None = None,
    ) -> None:
        self._http = http
        self._report = report
        self._sockets = sockets
        self._no_owner = False
        """Whether Core has refused receipts: it takes them from owners only."""

    async def sync(self, command: StartSync, token: str) -> SyncDone | SyncFailed:
        """Call Fetch Sync."""
        request = self._sync_request(command, token)
        # During a long poll no bytes arrive.
        request.extensions["timeout"] = httpx.Timeout(10.0, read=command.wait_s + 20.0).as_dict()
        try:
            read = decode_mixed_sync if any(map(carries_documents, command.after)) else decode_sync
            assembly = Assembly(*await self._ask(request, read))
            while (page := assembly.next) is not None:
                assembly.add(*await self._ask(self._page_request(page, token), read))
        except _RefusedError as refused:
            return SyncFailed(command.generation, refused.failure)
        except Exception as error:
            return SyncFailed(command.generation, _failure_of(error, "Fetch Sync's answer"))
        return SyncDone(command.generation, assembly.answer)

    async def _ask(
        self, request: httpx.Request, read: Callable[[bytes], SyncResponse]
    ) -> tuple[SyncResponse, int]:
        """Send the request. Returns the decoded answer and its length in bytes.

        Raises:
            _RefusedError: the status is not 200.
        """
        async with opened(self._http, request) as response:
            if response.status_code != 200:
                raise _RefusedError(await _refusal(response, "unauthorized"))
            body = await read_body(response, MAX_SYNC_BYTES)
        return read(body), len(body)

    async def stream(self, command: OpenStream) -> AsyncGenerator[Input, None]:
        """Open a stream and yield its inputs; the last is StreamEnded, unless it said goodbye."""
        if command.via == "websocket":
            async with aclosing(self._socket(command)) as signals:
                async for one in signals:
                    yield one
            return
        parameters = {"ticket": command.ticket}
        if len(command.cursor) <= _MAX_CHANNELS_IN_URL:
            # The ticket says the same; a long state vector is not worth a longer URL.
            parameters["lastEventId"] = format_cursor(command.cursor)
        timeout = httpx.Timeout(10.0, read=None)  # the machine times out a silent stream
        headers = {"accept": "text/event-stream", "cache-control": "no-store"} | PLAIN
        generation = command.generation
        try:
            _check_url(command.url)
            request = self._http.build_request(
                "GET", command.url, headers=headers, timeout=timeout,
                **_query(command.url, parameters),
            )  # fmt: skip
            async with opened(self._http, request) as response:
                if response.status_code != 200:
                    yield StreamEnded(generation, await _refusal(response, "ticket"))
                    return
                _check_media_type(response)
                parser, chunks = SseParser(), plain_chunks(response)
                async for chunk in chunks:
                    for event in parser.feed(chunk):
                        signal = input_of(generation, event)
                        if isinstance(signal, StreamBye | StreamSyncRequired):
                            await _read_out(chunks)
                        if signal is not None:
                            yield signal
            failure = Failure("unreachable", "the stream ended without a bye")
        except Exception as error:
            failure = _failure_of(error, "the stream")
        yield StreamEnded(generation, failure)

    async def _socket(self, command: OpenStream) -> AsyncGenerator[Input, None]:
        """Yield the inputs of a stream over a WebSocket, up to its end."""
        generation, failure = command.generation, _NO_SOCKETS
        if self._sockets is not None:
            failure = Failure("unreachable", "the socket ended without a bye")
            try:
                _check_url(command.url)
                url = str(self._http.base_url.join(command.url))
                parameters = {
                    "ticket": command.ticket,
                    "lastEventId": format_cursor(command.cursor),
                }
                async with aclosing(self._sockets.events(url, parameters)) as events:
                    async for event in events:
                        said = input_of(generation, event)
                        if said is not None:
                            yield said
            except SocketFailedError as error:
                failure = error.failure
            except Exception as error:
                failure = _failure_of(error, "the socket")
        yield StreamEnded(generation, failure)

    async def seen(self, orders: Sequence[str], token: str) -> bool:
        """Report the orders that this device has shown. Returns whether Core accepted that."""
        if self._report is None or self._no_owner:
            return True
        return await self._tell(SEEN_PATH, msgspec.json.encode({"orders": orders}), token)

    async def receipts(self, checkpoint: Checkpoint, token: str) -> bool:
        """Report what this device has applied of stores. Returns whether Core accepted that."""
        stores = {c: s for c, s in checkpoint.positions.items() if c.startswith("store:")}
        if not stores or self._report is None or self._no_owner:
            return True
        cursor = format_cursor(stores)
        if self._sockets is not None and await self._sockets.received(cursor):
            return True
        body = encode_receipts_body(ReceiptsBody(cursor, checkpoint.epoch))
        return await self._tell(RECEIPTS_PATH, body, token)

    async def _tell(self, path: str, body: bytes, token: str) -> bool:
        headers = bearer(token) | {"content-type": "application/json"}
        request = self._http.build_request(
            "POST",
            path,
            content=body,
            headers=headers | PACKED | self._about(),
            timeout=_RECEIPTS_TIMEOUT_S,
        )
        try:
            async with opened(self._http, request) as answer:
                status = answer.status_code
                # What it says does not matter, but read to its end its connection is used again.
                with contextlib.suppress(FrameError):
                    await read_body(answer, _MAX_PROBLEM_BYTES)
        except _UNREACHABLE:
            return False
        self._no_owner = status == 403
        # A refusal, or an older Core that does not know this path: a retry is no use.
        return status < 500 and status != 429

    def _sync_request(self, command: StartSync, token: str) -> httpx.Request:
        headers = bearer(token) | PACKED | self._about()
        if len(command.after) > _MAX_CHANNELS_IN_URL:
            body = {
                "channels": dict(command.after),
                "wait": command.wait_s,
                "orders": MAX_ORDERS,
            }
            if command.epoch is not None:
                body["epoch"] = command.epoch
            return self._http.build_request("POST", "/v1/sync", json=body, headers=headers)
        parameters: list[tuple[str, str | int | float | bool | None]] = [
            ("channel", channel) for channel in command.after
        ]
        parameters.append(("orders", MAX_ORDERS))
        cursor = {channel: seq for channel, seq in command.after.items() if seq is not None}
        if cursor:
            parameters.append(("lastEventId", format_cursor(cursor)))
        if command.epoch is not None:
            parameters.append(("epoch", command.epoch))
        if command.wait_s:
            parameters.append(("wait", f"{command.wait_s:g}"))
        return self._http.build_request("GET", "/v1/sync", params=parameters, headers=headers)

    def _page_request(self, page: str, token: str) -> httpx.Request:
        parameters = {"page": page, "orders": str(MAX_ORDERS)}
        headers = bearer(token) | PACKED
        return self._http.build_request("GET", "/v1/sync", params=parameters, headers=headers)

    def _about(self) -> dict[str, str]:
        return {} if self._report is None else {HEADER: format_device(self._report())}


def _query(url: str, parameters: dict[str, str]) -> dict[str, Any]:
    """The URL and the extension that carry a request's query.

    httpx refuses URLs of more than 64 KiB, which a ticket for hundreds of channels may exceed; the
    target in the request line may be longer.
    """
    query = urlencode(parameters)
    if len(query) <= _MAX_QUERY_CHARS:
        return {"params": parameters}
    path = httpx.URL(url).raw_path
    before = b"&" if b"?" in path else b"?"
    return {"extensions": {"target": path + before + query.encode()}}


def _check_url(url: str) -> None:
    """Check that a stream's address uses HTTP and a valid port.

    Raises:
        ValueError: it does not.
    """
    parts = urlsplit(url)
    if not parts.scheme and not parts.netloc:
        return  # a path of Core's own
    # Reading `port` raises if it is above 65535.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url[:80]!a} is not an http(s) URL with a valid port")


def _check_media_type(response: httpx.Response) -> None:
    """Reject an answer that is not an event stream, such as a captive portal's page.

    Raises:
        ValueError: it is not an event stream.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if media_type.lower() != "text/event-stream":
        raise ValueError(f"it is of type {media_type[:80]!a}")


async def _read_out(chunks: AsyncIterator[bytes]) -> None:
    """Read the response to its end after a stream's last event, so that its connection can be used
    for the next request."""
    with contextlib.suppress(TimeoutError, *_UNREACHABLE):
        async with asyncio.timeout(_END_FOLLOWS_WITHIN_S):
            async for _ in chunks:
                pass


class _RefusedError(Exception):
    """Core answered with another status than 200."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def _refusal(response: httpx.Response, unauthorized: FailureKind) -> Failure:
    try:
        body = await read_body(response, _MAX_PROBLEM_BYTES)
    except FrameError:
        body = b""  # the body does not matter: the status decides
    return refusal(
        response.status_code, response.reason_phrase, response.headers, body, unauthorized
    )


def _failure_of(error: Exception, what: str) -> Failure:
    if isinstance(error, _UNREACHABLE):
        return Failure("unreachable", shortened(str(error) or type(error).__name__))
    # Any other exception of a library was caused by what the server sent.
    said = str(error) if isinstance(error, msgspec.DecodeError | ValueError) else repr(error)
    return Failure("malformed", shortened(f"{what} is malformed: {said}"))
