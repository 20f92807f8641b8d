"""A line of the log is one JSON object in ASCII, whatever stands in it."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from server_common.logs import configure


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged; the tests' own configuration is back afterwards."""
    before = structlog.get_config()
    root, written = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    with structlog.contextvars.bound_contextvars():
        configure("core")
        yield written
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1", "1"),
        ("김밥\u2028\x9b\x1b[31m", "김밥\u2028\x9b\x1b[31m"),
        ("\ud800", "\ud800"),
        (1 << 70, 1 << 70),
        (1 + 2j, "(1+2j)"),
    ],
    ids=["text", "not ASCII", "half a surrogate pair", "a long number", "no JSON"],
)
def test_a_line_is_json_in_ascii(lines: io.StringIO, value: object, shown: object) -> None:
    structlog.get_logger().info("happened", value=value)
    (line,) = lines.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["value"] == shown
    assert json.loads(line)["event"] == "happened"


def test_a_line_is_written_at_once_so_that_those_of_other_processes_do_not_come_between(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []
    monkeypatch.setattr(lines, "write", writes.append)
    structlog.get_logger().info("happened")
    assert [line[-1] for line in writes] == ["\n"]
