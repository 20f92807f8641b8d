"""The heads of the responses that the edge writes itself: status line, headers, CORS.

They are the same as those of the ASGI application, as a test checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from client_sdk.contract.socket import SUBPROTOCOL
from event_server.problems import EXPOSED_HEADERS, STREAM_HEADERS

Fields = Sequence[tuple[bytes, bytes]]

_MAX_ORIGINS: Final = 64
_CLOSE: Final = b"connection: close\r\n"
_STREAM: Final = b"".join(b"%b: %b\r\n" % (k.encode(), v.encode()) for k, v in STREAM_HEADERS)


class ResponseHeads:
    """Makes heads.

    Args:
        origins: whose pages may read the answers; `*`: all.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.encode("latin-1") for origin in origins)
        self._all = b"*" in self._origins
        self._common: Fields = ()
        self._common_text = b""
        self._streams: dict[bytes | None, bytes] = {}
        """Heads of streams with kept connections, by origin, for the present common fields."""

    def stream(self, common: Fields, origin: bytes | None, chunked: bool, keep: bool) -> bytes:
        """The head of an open stream.

        Args:
            common: fields of every response (`date`).
            origin: the request's Origin, if there is one.
            chunked: whether the body comes in chunks; otherwise the connection's end is its end.
            keep: the connection stays open after the response.
        """
        text = self._text(common)
        if not (chunked and keep):
            return self._stream(text, origin, chunked, keep)
        head = self._streams.get(origin)
        if head is None:
            if len(self._streams) >= _MAX_ORIGINS:
                self._streams.clear()
            head = self._streams[origin] = self._stream(text, origin, chunked, keep)
        return head

    def _stream(self, text: bytes, origin: bytes | None, chunked: bool, keep: bool) -> bytes:
        return b"HTTP/1.1 200 OK\r\n%b%b%b%b%b\r\n" % (
            text,
            _STREAM,
            self._cors(origin),
            b"transfer-encoding: chunked\r\n" if chunked else b"",
            b"" if keep else _CLOSE,
        )

    def socket(self, common: Fields, accept: str) -> bytes:
        """The head of an open WebSocket."""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\n%bupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: %b\r\nsec-websocket-protocol: %b\r\n\r\n"
            % (self._text(common), accept.encode(), SUBPROTOCOL.encode())
        )

    def answer(self, common: Fields, origin: bytes | None, response: Response, keep: bool) -> bytes:
        """A whole response, body included.

        Args:
            common: fields of every response (`date`).
            origin: the request's Origin; None: it has none.
            response: gives status, fields and body.
            keep: the connection stays open after the response.
        """
        return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n%b" % (
            response.status_code,
            HTTPStatus(response.status_code).phrase.encode(),
            self._text(common),
            _lines(response.raw_headers),
            self._cors(origin),
            b"" if keep else _CLOSE,
            bytes(response.body),
        )

    def _text(self, common: Fields) -> bytes:
        if common is not self._common:  # uvicorn makes them anew once a second
            self._common, self._common_text = common, _lines(common)
            self._streams.clear()
        return self._common_text

    def _cors(self, origin: bytes | None) -> bytes:
        if origin is None:
            return b"vary: Origin\r\n"
        expose = b"vary: Origin\r\naccess-control-expose-headers: %b\r\n" % EXPOSED_HEADERS.encode()
        if self._all:
            return expose + b"access-control-allow-origin: *\r\n"
        if origin in self._origins:
            return expose + b"access-control-allow-origin: %b\r\n" % origin
        return expose


def _lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)
