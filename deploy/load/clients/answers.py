"""Converts the answers of Core and of event servers to inputs of the SDK's machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from client_sdk.contract.errors import FrameError
from client_sdk.contract.sse import SseParser
from client_sdk.contract.sync import decode_sync
from client_sdk.machine.messages import (
    Failure,
    Input,
    StreamBye,
    StreamEnded,
    StreamSyncRequired,
    SyncDone,
    SyncFailed,
)
from client_sdk.transport.http_failures import refusal
from client_sdk.transport.stream_events import input_of

_MALFORMED: Final = (msgspec.DecodeError, ValueError, FrameError)


class StreamAnswer:
    """Converts the answer to a stream's request to inputs.

    A `bye` or `sync-required` is passed on once the answer is complete, as in the SDK: then the
    connection can be used for the next stream. The machine ignores inputs of an older stream.

    Args:
        heard: called with each input. The last one is a StreamEnded, unless the server has sent
            `bye` or `sync-required`.
        generation: the generation of the stream.
    """

    __slots__ = ("_generation", "_heard", "_last", "_parser", "_refused")

    def __init__(self, heard: Callable[[Input], None], generation: int) -> None:
        self._heard = heard
        self._generation = generation
        self._parser: SseParser | None = None
        self._last: StreamBye | StreamSyncRequired | None = None
        self._refused: tuple[int, dict[str, str], bytearray] | None = None

    def began(self, status: int, headers: dict[str, str]) -> None:
        """The head has arrived: check that the answer is an event stream."""
        if status != 200:
            self._refused = status, headers, bytearray()
        elif headers.get("content-type", "").startswith("text/event-stream"):
            self._parser = SseParser()

    def brought(self, data: bytes) -> None:
        """Data has arrived: decode its events."""
        if self._refused is not None:
            self._refused[2].extend(data)
        if self._parser is None:
            return
        try:
            for event in self._parser.feed(data):
                signal = input_of(self._generation, event)
                if isinstance(signal, StreamBye | StreamSyncRequired):
                    self._last = signal
                elif signal is not None:
                    self._heard(signal)
        except _MALFORMED as error:
            self._parser = None
            self._end(Failure("malformed", f"the stream is malformed: {error}"))

    def ended(self, trouble: str | None) -> None:
        """The answer is complete or broken: report the end of the stream."""
        if self._last is not None:
            self._heard(self._last)
        elif self._refused is not None and trouble is None:
            status, headers, body = self._refused
            self._end(refusal(status, "", headers, bytes(body), "ticket"))
        else:
            self._end(Failure("unreachable", trouble or "the stream ended without a bye"))

    def _end(self, failure: Failure) -> None:
        self._heard(StreamEnded(self._generation, failure))


def sync_input(
    generation: int, status: int, headers: dict[str, str], body: bytes, trouble: str | None
) -> SyncDone | SyncFailed:
    """The input for the answer to a sync.

    Args:
        generation: the generation of the sync.
        status: the status of the answer; 0: there is no answer.
        headers: the headers, with names in lower case.
        body: the body of the answer.
        trouble: why there is no answer; None: there is one.
    """
    if trouble is not None:
        return SyncFailed(generation, Failure("unreachable", trouble))
    if status != 200:
        return SyncFailed(generation, refusal(status, "", headers, body, "unauthorized"))
    try:
        return SyncDone(generation, decode_sync(body))
    except _MALFORMED as error:
        return SyncFailed(generation, Failure("malformed", str(error)))
