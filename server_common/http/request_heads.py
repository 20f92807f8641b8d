"""The head of a request: its end, its headers, and refusals that our parser lacks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import httptools

HEAD_END: Final = b"\r\n\r\n"
"""The end of a request's head."""
MAX_WAITING_BYTES: Final = 64 * 1024
"""How much may wait behind a request; then nothing more is read until that has been answered."""
MAX_KNOWN_BLOCKS: Final = 256
"""How many blocks of headers are remembered; when there are more, all are forgotten."""
MAX_BLOCK_BYTES: Final = 2048
"""The longest block of headers that is read without the parser of a connection."""
_READER: Final = b"GET / HTTP/1.1"
_VERSION: Final = b" HTTP/1.1"

# A name or an address with an optional port (RFC 3986, 3.2), no longer than a name may be.
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]{1,255}|\[[0-9A-Fa-fv:.]{2,64}\])(?::[0-9]{0,5})?"
)


class Refusal(NamedTuple):
    """Why a request is refused."""

    status: int
    phrase: str
    detail: str


def refusal_of(version: str, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
    """Why a request with this head is refused; None: it is not.

    A request without a Host, with two of them, or with one that is no host is refused (RFC 9112,
    3.2): if a server accepts it, a proxy and the server may disagree about the request's host.

    Args:
        version: of HTTP, as the request line says, such as `1.1`.
        headers: names in lower case, and values.
    """
    if version not in ("1.1", "1.0"):
        return Refusal(
            505, "HTTP Version Not Supported", f"HTTP/{version} is not supported: send HTTP/1.1"
        )
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        return bad_request(f"send one Host header, not {len(hosts)}")
    if hosts and _HOST.fullmatch(hosts[0].strip()) is None:
        return bad_request("the Host header is neither a name nor an address")
    return None


def bad_request(detail: str) -> Refusal:
    """A refusal with status 400."""
    return Refusal(400, "Bad Request", detail)


def split_head(tail: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut what has come behind the end of the head that ends in it.

    Args:
        tail: the bytes of the head before `data`, of which the last three count.
        data: the received bytes.

    Returns:
        The bytes up to the end of the head, or all if none ends; those behind it; and the `tail`
        for what comes next.
    """
    at = -1
    if tail:
        seam = (tail + data[:3]).find(HEAD_END)
        if seam >= 0:
            at = seam + len(HEAD_END) - len(tail)
    if at < 0:
        found = data.find(HEAD_END)
        if found < 0:
            return data, b"", (tail + data[-3:])[-3:]
        at = found + len(HEAD_END)
    return data[:at], data[at:], b""


def split_plain(data: bytes, begin: bytes, plain: bytes) -> tuple[bytes, bytes] | None:
    """Cut a request whose query needs no parser.

    Args:
        data: what has come, up to the end of a head.
        begin: what it must begin with: the method and the path with its question mark.
        plain: what its query may hold.

    Returns:
        The query, and what stands behind the version: the headers as `read_headers` takes them, if
        it is sound; None: it is another request.
    """
    line, _, lines = data.partition(_VERSION)
    query = line[len(begin) :]
    if query.translate(None, plain) or not line.startswith(begin):
        return None
    return query, lines


def read_headers(lines: bytes) -> list[tuple[bytes, bytes]] | None:
    """The headers of a block, with their names in lower case.

    Args:
        lines: the block, with the end of the line before it and the empty line behind it.

    Returns:
        Names and values, in their order; None: the block is malformed or more than one, asks for
        another protocol, or belongs to a request whose connection is to be closed.
    """
    try:
        found = _Found(lines)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return found.head if found.requests == 1 and found.keeps else None


class _Found:
    """Has a block of headers parsed; raises what the parser raises."""

    def __init__(self, lines: bytes) -> None:
        self.head: list[tuple[bytes, bytes]] = []
        self.keeps = False
        self.requests = 0
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(_READER + lines)
        finally:
            del self._parser  # breaks a reference cycle, as garbage is collected rarely

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.keeps = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self.requests += 1
