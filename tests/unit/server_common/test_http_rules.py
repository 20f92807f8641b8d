"""What a request's head must have, by RFC 9112."""

from __future__ import annotations

import pytest

from server_common.http_rules import refusal_of

HOST = (b"host", b"core.example:8000")


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", [HOST], None),
        ("1.1", [(b"host", b"")], None),
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
        ("2.0", [HOST], 505),
        ("2.0", [], 505),
        ("0.9", [HOST], 505),
    ],
)
def test_a_head_is_taken_or_refused_with_its_status(
    version: str, headers: list[tuple[bytes, bytes]], status: int | None
) -> None:
    refusal = refusal_of(version, headers)
    assert (refusal and refusal.status) == status
    assert refusal is None or refusal.detail
