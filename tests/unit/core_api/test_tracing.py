"""The trace that a request belongs to, as W3C Trace Context names it."""

from __future__ import annotations

import pytest
import structlog

from core_api.http.tracing import trace_id_of, traced

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "text", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01-more"]
)
def test_it_is_read(text: str) -> None:
    assert trace_id_of(text.encode()) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f'00-{TRACE[:-2]}"}}-{SPAN}-01',
    ],
)
def test_what_is_malformed_is_ignored(text: str) -> None:
    assert trace_id_of(text.encode()) is None


def test_the_lines_of_the_block_tell_it_and_those_after_do_not() -> None:
    headers = [("other", None), ("traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
    with traced(headers):
        assert structlog.contextvars.get_contextvars()["trace_id"] == TRACE
    assert "trace_id" not in structlog.contextvars.get_contextvars()
    with traced([("traceparent", None)]):
        assert "trace_id" not in structlog.contextvars.get_contextvars()
