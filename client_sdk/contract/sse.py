"""Server-sent events as text: the writer, and a sans-I/O parser of the WHATWG algorithm.

Source: WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream"
(https://html.spec.whatwg.org/multipage/server-sent-events.html). Lines end at CR, LF or CRLF and at
nothing else: U+2028 and U+0085 are text, which line iterators of common HTTP clients get wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.errors import FrameError

MAX_EVENT_BYTES: Final = 1 << 20
"""The most bytes of one event or one unfinished line: a limit against hostile servers."""

_END_OF_LINE: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One dispatched event."""

    type: str
    data: str
    last_event_id: str


def encode_frame(event: str, data: bytes, event_id: str | None = None) -> bytes:
    """One event as bytes of the stream.

    Args:
        event: its type.
        data: one line of JSON in UTF-8. JSON escapes CR and LF, so one `data:` line always does.
        event_id: its id; None: it has none, so the client's last one stays.

    Raises:
        FrameError: a CR or LF in any part, which would end the line and forge another.
    """
    head = f"id: {event_id}\nevent: {event}\n" if event_id is not None else f"event: {event}\n"
    if "\r" in head or head.count("\n") != (2 if event_id is not None else 1):
        raise FrameError("an event's id and type must not contain a line end")
    if b"\n" in data or b"\r" in data:
        raise FrameError("an event's data must be one line")
    return b"%bdata: %b\n\n" % (head.encode(), data)


class SseParser:
    """Decodes events from bytes; the result does not depend on how the bytes are split.

    An event that is incomplete at the stream's end is not dispatched, as the specification demands.

    Args:
        max_event_bytes: the most bytes of one event's data, and of one line.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.reconnection_time_ms: int | None = None
        """The last valid `retry:`, if there was one."""
        self._max_event_bytes = max_event_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._at_start = True
        self._skip_lf = False
        self._type = ""
        self._data: list[str] = []
        self._data_bytes = 0
        self._last_event_id = ""

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes of the stream. Returns the events that they complete.

        Raises:
            FrameError: an event or a line is longer than `max_event_bytes`.
        """
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if self._at_start:
            chunk = self._strip_bom(chunk)
        events: list[SseEvent] = []
        start = 0
        for match in _END_OF_LINE.finditer(chunk):
            self._line(self._take_pending(chunk[start : match.start()]), events)
            start = match.end()
        if start and chunk.endswith(b"\r"):
            self._skip_lf = True
        if start < len(chunk):
            self._keep(chunk[start:])
        return events

    def _strip_bom(self, chunk: bytes) -> bytes:
        """Remove a leading byte order mark, which may arrive in parts."""
        joined = b"".join(self._pending) + chunk
        if len(joined) < len(_BOM) and _BOM.startswith(joined):
            self._pending, self._pending_bytes = [], 0
            self._keep(joined)
            return b""
        self._pending, self._pending_bytes = [], 0
        self._at_start = False
        return joined.removeprefix(_BOM)

    def _keep(self, part: bytes) -> None:
        self._pending.append(part)
        self._pending_bytes += len(part)
        if self._pending_bytes > self._max_event_bytes:
            raise FrameError(f"a line of the stream is longer than {self._max_event_bytes} bytes")

    def _take_pending(self, part: bytes) -> bytes:
        if len(part) + self._pending_bytes > self._max_event_bytes:
            raise FrameError(f"a line of the stream is longer than {self._max_event_bytes} bytes")
        if not self._pending:
            return part
        self._pending.append(part)
        line = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        return line

    def _line(self, line: bytes, events: list[SseEvent]) -> None:
        if not line:
            self._dispatch(events)
            return
        if line.startswith(b":"):
            return
        name, _, raw = line.partition(b":")
        value = raw.removeprefix(b" ").decode("utf-8", "replace")
        match name:
            case b"data":
                self._data_bytes += len(raw) + 1  # the line end between two data lines
                if self._data_bytes > self._max_event_bytes:
                    raise FrameError(f"an event is longer than {self._max_event_bytes} bytes")
                self._data.append(value)
            case b"event":
                self._type = value
            case b"id":
                if "\0" not in value:
                    self._last_event_id = value
            case b"retry":
                if raw.removeprefix(b" ").isdigit() and len(raw) <= 16:
                    self.reconnection_time_ms = int(value)
            case _:
                pass

    def _dispatch(self, events: list[SseEvent]) -> None:
        if self._data:
            events.append(
                SseEvent(self._type or "message", "\n".join(self._data), self._last_event_id)
            )
        self._type, self._data, self._data_bytes = "", [], 0
