"""What is fuzzed: each target takes bytes, and raises if they find a fault.

Every target takes bytes, so an input of any of them is a line of a file, and a failing input can be
kept.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz import batches, devices, messages, names, streams, wire

CORPUS: Final = Path(__file__).parent / "corpus"

Check = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """One fuzzed function with its inputs."""

    name: str
    check: Check
    """Raises if the bytes find a fault. Refuses invalid bytes only with our own errors."""
    words: tuple[bytes, ...]
    """What a mutation may insert, besides single bytes."""

    @property
    def file(self) -> Path:
        """Its corpus: one input per line, as `name = b"..."`."""
        return CORPUS / f"{self.name}.txt"

    def seeds(self) -> dict[str, bytes]:
        """The corpus by the names of its inputs."""
        lines = (line.partition(" = ") for line in self.file.read_text("ascii").splitlines())
        return {name: ast.literal_eval(text) for name, _, text in lines}

    def keep(self, name: str, data: bytes) -> None:
        """Add an input to the corpus. The suite runs it from now on."""
        with self.file.open("a", encoding="ascii") as file:
            file.write(f"{name} = {data!r}\n")


_NAMES: Final = (b"store:", b"table:", b"/", b"@", b",", b"9" * 19, b"\xd9\xa1", b"%", b"-1", b" ")
_JSON: Final = (
    b"{", b"}", b"[" * 200, b'"', b"null", b"1e999", b"-0", b"\\ud800", b"\\u0000", b",", b":",
    b"9" * 400, b"\xff", b"NaN",
)  # fmt: skip
_SSE: Final = (
    b"data:", b"id:", b"event:", b"retry:", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf",
    b"\x00", b"\xe2\x80\xa8", b": ", b"x" * 300,
)  # fmt: skip
_QUERY: Final = (
    *_NAMES, b"&", b"=", b"channel=", b"lastEventId=", b"wait=", b"limit=", b"page=", b"~",
)  # fmt: skip
_HTTP: Final = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"GET ", b"POST ", b"/v1/stream", b"/healthz", b"?ticket=",
    b" HTTP/1.1", b" HTTP/1.0", b"Host: x\r\n", b"Content-Length: 5\r\n", b"Connection: close\r\n",
    b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"Expect: 100-continue\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Last-Event-ID: 1\r\n", b"x" * 4000, b"\x00",
)  # fmt: skip

_ALL: Final = (
    Target("frame", streams.frame, _SSE),
    Target("parser", streams.parser, _SSE),
    Target("signal", messages.signal, _JSON),
    Target("names", names.names, _NAMES),
    Target("ticket", names.ticket, (b".", b"=", b"-", b"_", b"A" * 43)),
    Target("sync-query", names.sync_query, _QUERY),
    Target("sync-body", messages.sync_body, (*_JSON, b'"channels"', b'"wait"')),
    Target("sync-answer", messages.sync_answer, _JSON),
    Target(
        "headers",
        names.headers,
        (b";", b"mode=", b"pending=", b"diverged=", b'"', b"\x7f", b"=", b" "),
    ),
    Target("record", streams.record, (*_NAMES, b"\x1e", b"\x1f", b"\n", b"\r", b"watermark")),
    Target("command", messages.command, (*_JSON, b'"command"', b'"body"', b"\x00")),
    Target("mqtt", devices.mqtt, (*_JSON, *_NAMES, b"yabam/v1", b"star/cloudprnt", b"telemetry")),
    Target("device-record", devices.device_record, (*_JSON, b'"payload"', b'"kind"', b'"mac"')),
    Target("batches", batches.batches, (b"\x00" * 8, b"\xff" * 8, b"\x7f", b"\x80" * 10, b"\x02")),
    Target("events-socket", wire.events_socket, _HTTP),
    Target("core-socket", wire.core_socket, _HTTP),
)
TARGETS: Final[Mapping[str, Target]] = {target.name: target for target in _ALL}
