"""Answers of Core and of event servers, as inputs of the machine."""

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
    """The answer to a stream's request, as inputs; the machine ignores what comes too late.

    The server's last words are told once the answer is whole, as in the SDK: then the connection
    serves the next stream.

    Args:
        heard: is given the inputs, a StreamEnded last unless the server said goodbye.
        generation: of the stream.
    """

    __slots__ = ("_generation", "_heard", "_last", "_parser", "_refused")

    def __init__(self, heard: Callable[[Input], None], generation: int) -> None:
        self._heard = heard
        self._generation = generation
        self._parser: SseParser | None = None
        self._last: StreamBye | StreamSyncRequired | None = None
        self._refused: tuple[int, dict[str, str], bytearray] | None = None

    def began(self, status: int, headers: dict[str, str]) -> None:
        """It is a stream if it says so."""
        if status != 200:
            self._refused = status, headers, bytearray()
        elif headers.get("content-type", "").startswith("text/event-stream"):
            self._parser = SseParser()

    def brought(self, data: bytes) -> None:
        """Events."""
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
        """It is over."""
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
    """What the answer to a sync means.

    Args:
        generation: of the sync.
        status: of the answer; 0: there is none.
        headers: in small letters.
        body: of the answer.
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
