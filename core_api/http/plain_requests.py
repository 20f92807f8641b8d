"""Reads the form of nearly all Fetch Syncs: whole in one packet, and plain. Pure.

Clients of a kind send the same headers except for Authorization and the device's. These two are cut
out, and the rest is parsed once and then recognised by its bytes. A request that is not read here
takes the usual way, and a test checks that both give the same answers.
"""

from __future__ import annotations

import string
from typing import Final, NamedTuple

from server_common.http.request_heads import (
    HEAD_END,
    MAX_BLOCK_BYTES,
    MAX_KNOWN_BLOCKS,
    read_headers,
    refusal_of,
    split_plain,
)

MAX_BYTES: Final = 8192
"""The longest request that is read here."""

_PLAIN: Final = (string.ascii_letters + string.digits + "-._~%=&@:,/").encode()
"""The characters of a query that need no parser, which accepts all of them."""
_TOKEN: Final = (string.ascii_letters + string.digits + "-._~+/=").encode()
"""The characters of an access token (RFC 6750, 2.1)."""
_DEVICE: Final = (string.ascii_letters + string.digits + "-._~:/*;= ").encode()
_BEARER: Final = (b"\r\nAuthorization: Bearer ", b"\r\nauthorization: Bearer ")
_ABOUT: Final = (b"\r\nYabam-Device: ", b"\r\nyabam-device: ")
_GENERAL: Final = frozenset(
    {
        # Where one of these is left in the block, the request is not plain.
        *(b"authorization", b"yabam-device"),
        *(b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"trailer"),
        # These lead to another answer, or to other lines in the log.
        *(b"origin", b"traceparent"),
    }
)
_OF_ONE_CLIENT: Final = frozenset({b"cookie", b"x-forwarded-for", b"x-real-ip", b"forwarded"})
"""A block with one of these comes from one client only, and is not worth remembering."""


class PlainRequest(NamedTuple):
    """A request with a valid head, no body and a connection that stays open."""

    query: str
    token: str
    """Of the header Authorization, whose scheme is Bearer."""
    device: str | None
    """The device's header; None: there is none."""


class PlainRequests:
    """Reads requests for one path, and remembers blocks of headers.

    Args:
        path: the path of the requests, which are GET and have a query.
    """

    def __init__(self, path: str) -> None:
        self._begin = f"GET {path}?".encode()
        self._known: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, data: bytes) -> PlainRequest | None:
        """Read the bytes that a client has sent first, or after a complete request.

        Returns:
            The request; None: it is not plain, or not complete.
        """
        size = len(data)
        # The first end of a head must be the end of the data: so the lines cut out below are of
        # this head, and the rest keeps its ending.
        if size > MAX_BYTES or data.find(HEAD_END) != size - len(HEAD_END):
            return None
        found = split_plain(data, self._begin, _PLAIN)
        if found is None:
            return None
        query, block = found
        token, block = _cut(block, _BEARER)
        if not token or token.translate(None, _TOKEN):
            return None
        device, block = _cut(block, _ABOUT)
        if device is not None and (device.strip() != device or device.translate(None, _DEVICE)):
            return None
        if block not in self._known and not self._learn(block):
            return None
        return PlainRequest(
            query.decode(), token.decode(), None if device is None else device.decode()
        )

    def _learn(self, block: bytes) -> bool:
        names = _names_of(block)
        if names is None or not _GENERAL.isdisjoint(names):
            return False
        if _OF_ONE_CLIENT.isdisjoint(names):
            if len(self._known) >= MAX_KNOWN_BLOCKS:
                self._known.clear()
            self._known.add(block)
        return True


def _cut(lines: bytes, beginnings: tuple[bytes, bytes]) -> tuple[bytes | None, bytes]:
    """The value of the line that begins in one of these ways, and the lines without it."""
    for beginning in beginnings:
        at = lines.find(beginning)
        if at >= 0:
            begin = at + len(beginning)
            end = lines.find(b"\r\n", begin)
            # A folded line continues the line before.
            if lines[end + 2 : end + 3] in (b" ", b"\t"):
                break
            return lines[begin:end], lines[:at] + lines[end:]
    return None, lines


def _names_of(block: bytes) -> set[bytes] | None:
    """The names of the headers, in lower case; None: the block is faulty, too long, or belongs to a
    request for an upgrade or to one whose connection is to be closed."""
    if len(block) > MAX_BLOCK_BYTES:
        return None
    head = read_headers(block)
    if head is None or refusal_of("1.1", head) is not None:
        return None
    return {name for name, _ in head}
