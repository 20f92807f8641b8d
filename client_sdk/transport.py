"""The HTTP side of the client: syncs and streams, their answers and errors made into inputs.

Every read has a bound: a sync's answer `MAX_SYNC_BYTES`, an event `frame.MAX_EVENT_BYTES`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import Final

import httpx
import msgspec

from client_sdk.contract import stream as wire
from client_sdk.contract.channel import event_id
from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.device import HEADER, DeviceReport, format_device
from client_sdk.contract.errors import FrameError
from client_sdk.contract.frame import SseEvent, SseParser
from client_sdk.contract.limits import MAX_SYNC_BYTES
from client_sdk.contract.order import decode_event
from client_sdk.contract.sync import MAX_ORDERS, SyncResponse, decode_sync
from client_sdk.paging import MAX_PAGES, next_page, with_page
from client_sdk.refusals import refusal
from client_sdk.signals import (
    Failure,
    FailureKind,
    Input,
    OpenStream,
    StartSync,
    StreamBye,
    StreamEnded,
    StreamEvent,
    StreamHeartbeat,
    StreamHello,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
)

_MOST_CHANNELS_IN_URL: Final = 40
_MAX_PROBLEM_BYTES: Final = 64 << 10
_END_FOLLOWS_WITHIN_S: Final = 1.0
_UNREACHABLE: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)


class Transport:
    """Core and the event servers, over one `httpx.AsyncClient`.

    Args:
        http: the client; its base URL is Core's.
        report: what each sync tells Core of this device; None: nothing.
    """

    def __init__(
        self, http: httpx.AsyncClient, report: Callable[[], DeviceReport] | None = None
    ) -> None:
        self._http = http
        self._report = report

    async def sync(self, command: StartSync, token: str) -> SyncDone | SyncFailed:
        """Call Fetch Sync."""
        request = self._sync_request(command, token)
        # A long poll is silent for as long as it waits.
        request.extensions["timeout"] = httpx.Timeout(10.0, read=command.wait_s + 20.0).as_dict()
        try:
            answer = await self._ask(request)
            for _ in range(MAX_PAGES):
                if isinstance(answer, Failure) or (page := next_page(answer)) is None:
                    break
                further = await self._ask(self._page_request(page, token))
                if isinstance(further, Failure):
                    answer = further
                else:
                    answer = with_page(answer, page, further)
        except _UNREACHABLE as error:
            answer = _unreachable(error)
        except (msgspec.DecodeError, ValueError) as error:
            answer = Failure("malformed", f"Fetch Sync's answer is malformed: {error}")
        if isinstance(answer, Failure):
            return SyncFailed(command.generation, answer)
        return SyncDone(command.generation, answer)

    async def _ask(self, request: httpx.Request) -> SyncResponse | Failure:
        response = await self._http.send(request, stream=True)
        try:
            body = await _read(response, MAX_SYNC_BYTES)
        finally:
            await response.aclose()
        if response.status_code == 200:
            return decode_sync(body)
        return _refused(response, body, "unauthorized")

    async def stream(self, command: OpenStream) -> AsyncGenerator[Input, None]:
        """Open a stream; its inputs as they come, a StreamEnded last unless it said goodbye."""
        parameters = {"ticket": command.ticket}
        if len(command.cursor) <= _MOST_CHANNELS_IN_URL:
            # The ticket says the same; a long state vector is not worth a longer URL.
            parameters["lastEventId"] = format_cursor(command.cursor)
        timeout = httpx.Timeout(10.0, read=None)  # the machine watches for silence itself
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        generation = command.generation
        try:
            async with self._http.stream(
                "GET", command.url, params=parameters, headers=headers, timeout=timeout
            ) as response:
                if response.status_code != 200:
                    body = await _read(response, _MAX_PROBLEM_BYTES)
                    yield StreamEnded(generation, _refused(response, body, "ticket"))
                    return
                _check_media_type(response)
                parser, chunks = SseParser(), response.aiter_bytes()
                async for chunk in chunks:
                    for event in parser.feed(chunk):
                        signal = signal_of(generation, event)
                        if isinstance(signal, StreamBye | StreamSyncRequired):
                            await _read_out(chunks)
                        if signal is not None:
                            yield signal
            failure = Failure("unreachable", "the stream ended without a bye")
        except _UNREACHABLE as error:
            failure = _unreachable(error)
        except (msgspec.DecodeError, ValueError) as error:
            failure = Failure("malformed", f"the stream is malformed: {error}")
        yield StreamEnded(generation, failure)

    def _sync_request(self, command: StartSync, token: str) -> httpx.Request:
        headers = {"authorization": f"Bearer {token}"} | self._about()
        if len(command.after) > _MOST_CHANNELS_IN_URL:
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
        headers = {"authorization": f"Bearer {token}"}
        return self._http.build_request("GET", "/v1/sync", params=parameters, headers=headers)

    def _about(self) -> dict[str, str]:
        return {} if self._report is None else {HEADER: format_device(self._report())}


def signal_of(generation: int, event: SseEvent) -> Input | None:
    """What an event of the stream means; None for one that we do not know.

    Raises:
        msgspec.DecodeError: its data is not what its type demands.
        ValueError: it contradicts itself.
    """
    data = event.data.encode()
    match event.type:
        case _ if event.type.startswith("order."):
            order_event = decode_event(data)
            if order_event.id != event_id(order_event.channel, order_event.seq):
                raise ValueError(f"the event {order_event.id} says seq {order_event.seq}")
            return StreamEvent(generation, order_event)
        case wire.HELLO:
            hello = msgspec.json.decode(data, type=wire.Hello)
            return StreamHello(generation, hello.epoch, _instant(hello.watermark))
        case wire.HEARTBEAT:
            beat = msgspec.json.decode(data, type=wire.Heartbeat)
            return StreamHeartbeat(generation, _instant(beat.watermark))
        case wire.SYNC_REQUIRED:
            required = msgspec.json.decode(data, type=wire.SyncRequired)
            return StreamSyncRequired(generation, required.channel, required.reason)
        case wire.BYE:
            bye = msgspec.json.decode(data, type=wire.Bye)
            return StreamBye(generation, bye.reason, bye.reconnect_after_ms)
    return None


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"the time {text[:40]!a} has no offset")
    return instant


def _check_media_type(response: httpx.Response) -> None:
    """Hold an answer against the page of a captive portal.

    Raises:
        ValueError: it is not an event stream.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if media_type.lower() != "text/event-stream":
        raise ValueError(f"it is of type {media_type[:80]!a}")


async def _read_out(chunks: AsyncIterator[bytes]) -> None:
    """Take what follows a stream's last event, which is the end of the response: only then can its
    connection be used for the next request."""
    with contextlib.suppress(TimeoutError, *_UNREACHABLE):
        async with asyncio.timeout(_END_FOLLOWS_WITHIN_S):
            async for _ in chunks:
                pass


async def _read(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            raise FrameError(f"it is longer than {most} bytes")
    return bytes(body)


def _refused(response: httpx.Response, body: bytes, unauthorized: FailureKind) -> Failure:
    return refusal(
        response.status_code, response.reason_phrase, response.headers, body, unauthorized
    )


def _unreachable(error: Exception) -> Failure:
    return Failure("unreachable", str(error) or type(error).__name__)
