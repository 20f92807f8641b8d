"""What a request's head must have, by RFC 9112."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Final

import pytest

from event_server.errors import StreamRefusedError
from event_server.push.request_head import check_head
from server_common.http.request_heads import refusal_of, split_head

HOST = (b"host", b"core.example:8000")


CASES: Final[list[tuple[str, list[tuple[bytes, bytes]], int | None]]] = [
    ("1.1", [HOST], None),
    ("1.1", [(b"host", b"a" * 255)], None),
    ("1.1", [(b"host", b"a:")], None),
    ("1.1", [(b"host", b"[::1]:8000")], None),
    ("1.1", [(b"host", b"127.0.0.1")], None),
    ("1.1", [(b"accept", b"*/*"), HOST], None),
    ("1.0", [], None),
    ("1.0", [HOST], None),
    ("1.1", [], 400),
    ("1.1", [HOST, HOST], 400),
    ("1.1", [HOST, (b"host", b"evil.example")], 400),
    ("1.0", [HOST, HOST], 400),
    ("1.1", [(b"host", b"a b")], 400),
    ("1.1", [(b"host", b"a/b")], 400),
    ("1.1", [(b"host", b"user@a")], 400),
    ("1.1", [(b"host", b"a,b:80,")], 400),
    ("1.1", [(b"host", b"\xff")], 400),
    ("1.1", [(b"host", b"")], 400),
    ("1.0", [(b"host", b"")], 400),
    ("1.1", [(b"host", b":80")], 400),
    ("1.1", [(b"host", b"a:123456")], 400),
    ("1.1", [(b"host", b"a" * 256)], 400),
    ("1.1", [(b"host", b"[fe80::1%25eth0]")], 400),
    ("2.0", [HOST], 505),
    ("2.0", [], 505),
    ("0.9", [HOST], 505),
]


@pytest.mark.parametrize(("version", "headers", "status"), CASES)
def test_a_head_is_taken_or_refused_with_its_status(
    version: str, headers: list[tuple[bytes, bytes]], status: int | None
) -> None:
    refusal = refusal_of(version, headers)
    assert (refusal and refusal.status) == status
    assert refusal is None or refusal.detail


@pytest.mark.parametrize(("version", "headers", "status"), CASES)
def test_an_event_server_takes_the_heads_that_core_takes_and_no_others(
    version: str, headers: list[tuple[bytes, bytes]], status: int | None
) -> None:
    hosts = [value for name, value in headers if name == b"host"]
    with pytest.raises(StreamRefusedError) if status else nullcontext():
        check_head(version, hosts)


@pytest.mark.parametrize("size", range(1, 12))
def test_a_head_ends_at_its_empty_line_in_whatever_pieces_it_comes(size: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST"
    head, tail = b"", b""
    for at in range(0, len(request), size):
        piece, left, tail = split_head(tail, request[at : at + size])
        head += piece
        if left or not tail:
            assert left + request[at + size :] == b"POST"
            break
        assert head.endswith(tail)
    assert (head, tail) == (request[:-4], b"")
