"""Makes every frame that the server writes, encoded once, in the wire form of its push path.

Its text is that of `client_sdk/contract/sse.py:encode_frame`. The ASGI path (`push/asgi.py`) takes
it as it is; the path that writes to the transport itself takes it as an HTTP chunk. `wire` is that
last step, so that a frame is never encoded per client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from client_sdk.contract.sse import encode_frame
from client_sdk.contract.stream import (
    BYE,
    HEARTBEAT,
    HELLO,
    SYNC_REQUIRED,
    Bye,
    ByeReason,
    Heartbeat,
    Hello,
    SyncRequired,
)
from event_server.replay.database_clock import rfc3339

Wire = Callable[[bytes], bytes]

UnencodedEvent = tuple[str, str, bytes]
"""An event that is not encoded yet: its id, its type and its line of JSON."""


def as_text(frame: bytes) -> bytes:
    """The wire form of a path that leaves HTTP to another layer."""
    return frame


def as_chunk(frame: bytes) -> bytes:
    """The wire form of a path that writes HTTP/1.1 itself: one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def joined(chunks: bytes) -> bytes:
    """The content of whole chunks, for HTTP/1.0, which has no chunks."""
    parts: list[bytes] = []
    at = 0
    while at < len(chunks):
        begin = chunks.index(b"\r\n", at) + 2
        end = begin + int(chunks[at : begin - 2], 16)
        parts.append(chunks[begin:end])
        at = end + 2
    return b"".join(parts)


class Frames:
    """Makes frames in one wire form."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._opening_of: tuple[str, str, str] | None = None
        self._opening = b""

    def event(self, event: UnencodedEvent) -> bytes:
        """An event of an order or of a document.

        Raises:
            FrameError: a part of it holds a line end.
        """
        event_id, kind, line = event
        return self._wire(encode_frame(kind, line, event_id))

    def opening(self, retry_ms: int, hello: Hello) -> bytes:
        """A stream's first bytes: `retry:` and hello."""
        # The openings of all streams between two watermarks differ only in the numbers.
        shared = hello.server, hello.epoch, hello.watermark
        if shared != self._opening_of:
            self._opening_of, self._opening = shared, _opening_form(hello)
        return self._wire(self._opening % (retry_ms, hello.ends_in_ms, hello.replayed))

    def heartbeat(self, watermark: float) -> bytes:
        """A heartbeat: nothing is missing up to `watermark` (seconds, the database's clock)."""
        data = msgspec.json.encode(Heartbeat(rfc3339(watermark)))
        return self._wire(encode_frame(HEARTBEAT, data))

    def say(self, event: str, data: bytes) -> bytes:
        """Anything else: `data` is one line of JSON.

        Raises:
            FrameError: a part of it holds a line end.
        """
        return self._wire(encode_frame(event, data))

    def sync_required(self, reason: SyncRequired) -> bytes:
        """The last frame of a stream that cannot be continued."""
        return self._wire(encode_frame(SYNC_REQUIRED, msgspec.json.encode(reason)))

    def bye(self, reason: ByeReason, reconnect_after_ms: int) -> bytes:
        """The last frame of a stream that ends as planned."""
        return self._wire(encode_frame(BYE, msgspec.json.encode(Bye(reason, reconnect_after_ms))))


_NO_NUMBERS: Final = b'"ends_in_ms":0,"replayed":0}\n\n'
_NUMBERS: Final = b'"ends_in_ms":%d,"replayed":%d}\n\n'


def _opening_form(hello: Hello) -> bytes:
    """A template of openings, to be formatted with the numbers."""
    bare = msgspec.structs.replace(hello, ends_in_ms=0, replayed=0)
    frame = encode_frame(HELLO, msgspec.json.encode(bare))
    return b"retry: %d\n\n" + frame.removesuffix(_NO_NUMBERS).replace(b"%", b"%%") + _NUMBERS
