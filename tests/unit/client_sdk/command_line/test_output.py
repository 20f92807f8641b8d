"""What commands print cannot move a cursor, and says the same as JSON."""

from __future__ import annotations

import json
from argparse import Namespace

import pytest

from client_sdk.command_line.output import json_line, say, tell

HOSTILE = "a\x1b[2J\r\n\u202e\U000e0001\u3000é김"


def test_json_of_a_hostile_text_is_one_printable_line_that_says_the_same() -> None:
    line = json_line({"note": HOSTILE})
    assert line.isprintable()
    assert json.loads(line) == {"note": HOSTILE}
    assert "é김" in line


def test_a_result_is_text_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    say(Namespace(json=False), f"one {HOSTILE}\ntwo", {"value": 1})
    said = capsys.readouterr().out
    assert said.endswith("\ntwo\n")
    assert all(line.isprintable() for line in said.splitlines())


def test_a_result_is_one_line_of_json_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    say(Namespace(json=True), "one\ntwo", {"value": 1})
    assert capsys.readouterr().out == '{"value":1}\n'


def test_what_goes_on_is_told_beside_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    tell(f"waiting {HOSTILE}")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.strip("\n").isprintable()
