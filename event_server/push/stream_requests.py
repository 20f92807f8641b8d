"""Reads the form of nearly all requests for streams: whole in one packet, and plain. Pure.

Clients of a kind send the same headers, so a block of headers is parsed once and then recognised by
its bytes. Other requests take the usual way by `requests.py`, and a test checks that both give the
same answers.
"""

from __future__ import annotations

import string
from typing import Final, NamedTuple

from client_sdk.contract.socket import STREAM_PATH
from event_server.errors import StreamRefusedError
from event_server.push.request_head import check_head
from server_common.http.request_heads import (
    HEAD_END,
    MAX_BLOCK_BYTES,
    MAX_KNOWN_BLOCKS,
    read_headers,
    split_plain,
)
from server_common.limits import EVENTS_HEAD_BYTES

_BEGIN: Final = b"GET " + STREAM_PATH.encode() + b"?"
_PLAIN: Final = (string.ascii_letters + string.digits + "-._~%=&@:,/+").encode()
"""The characters of a query that need no parser, which accepts all of them."""
_FRAMES: Final = frozenset((b"content-length", b"transfer-encoding", b"upgrade"))
_OF_ONE_CLIENT: Final = frozenset((b"last-event-id", b"cookie", b"authorization"))


class Block(NamedTuple):
    """The headers of a block."""

    headers: dict[bytes, bytes]
    """By names in lower case; the first of a name counts."""
    origin: bytes | None
    last_event_id: str


class StreamRequests:
    """Reads requests for streams, and remembers blocks of headers."""

    def __init__(self) -> None:
        self._known: dict[bytes, Block] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, data: bytes) -> tuple[bytes, Block] | None:
        """Read what a client has sent first.

        Returns:
            The query and the headers of a request for a stream, which keeps the rules of every
            head, has no body, and keeps its connection; None: it is another request.
        """
        found = split_plain(data, _BEGIN, _PLAIN)
        if found is None or len(data) > EVENTS_HEAD_BYTES:
            return None
        query, lines = found
        block = self._known.get(lines) or self._learn(lines)
        return None if block is None else (query, block)

    def _learn(self, lines: bytes) -> Block | None:
        block = read_block(lines)
        if block is not None and _OF_ONE_CLIENT.isdisjoint(block.headers):
            if len(self._known) >= MAX_KNOWN_BLOCKS:
                self._known.clear()
            self._known[lines] = block
        return block


def read_block(lines: bytes) -> Block | None:
    """Read a block of headers, with the end of the line before it and the empty line behind it.

    Returns:
        What it says; None: it is faulty, too long, belongs to a request with a body or for an
        upgrade, or to one whose connection is to be closed.
    """
    if len(lines) > MAX_BLOCK_BYTES or lines.find(HEAD_END) != len(lines) - len(HEAD_END):
        return None
    head = read_headers(lines)
    if head is None:
        return None
    try:
        check_head("1.1", [value for name, value in head if name == b"host"])
    except StreamRefusedError:
        return None
    headers = dict(reversed(head))
    if not _FRAMES.isdisjoint(headers):
        return None
    last = headers.get(b"last-event-id", b"").decode("latin-1")
    return Block(headers, headers.get(b"origin"), last)
