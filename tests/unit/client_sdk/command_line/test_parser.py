"""How commands are declared, and what somebody reads who mistypes one."""

from __future__ import annotations

import pytest

from client_sdk.command_line.parser import Commands, Parser


@pytest.fixture
def parser() -> Parser:
    root = Parser(prog="yabam")
    commands = Commands(root, "COMMAND")
    tail = commands.add("tail", "follow", "package.module:tail")
    tail.add_argument("--store")
    tail.add_argument("--cursor")
    commands.group("order", "orders").add("list", "list them", "package.module:list")
    commands.process("core", "serve", "package.module:core")
    return root


def refused(parser: Parser, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_what_runs_a_command_is_a_name(parser: Parser) -> None:
    options = parser.parse_args(["order", "list"])
    assert (options.run, options.command) == ("package.module:list", "yabam order list")


def test_parts_that_ask_for_the_same_group_share_it(parser: Parser) -> None:
    commands = Commands(Parser(prog="yabam"))
    assert commands.group("state", "documents") is commands.group("state", "something else")


def test_a_command_takes_json_and_a_process_does_not(
    parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parser.parse_args(["tail", "--json"]).json is True
    assert parser.parse_args(["tail"]).json is False
    assert "--json" in refused(parser, capsys, "core", "--json")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["tial"], "tail"),
        (["ordr", "list"], "order"),
        (["order", "lits"], "list"),
        (["tail", "--sotre", "1"], "--store"),
        (["tail", "--sotre=1"], "--store"),
        (["--hlep"], "--help"),
    ],
)
def test_a_mistyped_word_is_answered_with_what_was_probably_meant(
    words: list[str], meant: str, parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"did you mean {meant}? " in refused(parser, capsys, *words)


@pytest.mark.parametrize("words", [["qqqq"], ["tail", "--qqqq"], ["order"], ["tail", "--store"]])
def test_nothing_is_proposed_where_nothing_is_alike(
    words: list[str], parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean" not in refused(parser, capsys, *words)


def test_an_unknown_option_is_told_with_the_usage_of_its_command(
    parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(parser, capsys, "tail", "--qqqq")
    assert said.startswith("usage: yabam tail ")
    assert "yabam tail: unrecognized arguments: --qqqq" in said
    assert "`yabam tail --help` tells more" in said
