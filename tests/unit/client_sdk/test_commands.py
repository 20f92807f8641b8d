"""The SDK's commands: what a person reads when Core refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, Final

import httpx
import msgspec
import pytest

from client_sdk import OrderProducer, cli, cli_commands
from client_sdk.cli import main
from client_sdk.contract.problem import TITLES, encode_problem, problem
from tests.unit.client_sdk.samples import order

ID: Final = "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"
STEP: Final = ["order", "step", ID, "accepted", "--core", "http://core", "--token", "t"]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.Response], None]:
    """Lets Core give one answer, always; nobody waits between two attempts."""

    def answers(response: httpx.Response) -> None:
        def give(_request: httpx.Request) -> httpx.Response:
            return httpx.Response(response.status_code, content=response.content)

        made = partial(
            OrderProducer,
            attempts=2,
            transport=httpx.MockTransport(give),
            sleep=lambda _seconds: asyncio.sleep(0),
        )
        monkeypatch.setattr(cli_commands, "OrderProducer", made)

    return answers


@pytest.mark.parametrize("slug", TITLES)
def test_every_problem_is_told_with_its_title_detail_and_order(
    slug: str, core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    status, title = TITLES[slug]
    stands = msgspec.json.encode(order(ID, 7, "preparing"))
    told = problem(slug, "so and so", order=stands, retry_after=2.5, url="http://elsewhere")
    core(httpx.Response(status, content=encode_problem(told)))
    assert main(STEP) == 1
    said = capsys.readouterr().err
    assert f"{title}: so and so" in said
    assert ("2 times" in said) == (status in (429, 500, 503))
    if status not in (401, 429, 500, 503):
        assert "The order as it stands: preparing, version 7" in said
        assert ID in said


def test_a_problem_without_an_order_is_told_in_one_line(
    core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    core(httpx.Response(404, content=encode_problem(problem("not-found", "no such order"))))
    assert main(STEP) == 1
    assert capsys.readouterr().err == "yabam: There is no such thing: no such order\n"


def test_what_a_server_says_cannot_move_the_cursor_of_a_terminal(
    core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    core(httpx.Response(404, content=encode_problem(problem("not-found", "\x1b[2J\rgone"))))
    assert main(STEP) == 1
    said = capsys.readouterr().err
    assert "gone" in said
    assert not any(ord(character) < 32 for character in said.strip("\n"))


def test_an_order_id_that_is_none_is_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["order", "show", "../sync", "--core", "http://core", "--token", "t"]) == 1
    assert "is not an order id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        (["--help"], {"tail", "state", "core", "events"}),
        (["state", "--help"], {"get", "watch", "migrate"}),
        (["state", "migrate", "--help"], {"migrate"}),
    ],
)
def test_a_command_that_two_parts_bring_is_one_command(
    asked: list[str], listed: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked)
    assert ended.value.code == 0
    assert listed <= set(capsys.readouterr().out.split())


def test_an_action_of_the_sdk_does_not_load_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(part: EntryPoint) -> Callable[[Any], None]:
        loaded.append(part.name)
        return cli_commands.register

    monkeypatch.setattr(cli, "_load", load)
    with pytest.raises(SystemExit):
        main(["state", "get", "--help"])
    assert loaded == ["client"]


def test_an_action_of_a_part_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = cli._load

    def without_servers(part: EntryPoint) -> Callable[[Any], None]:
        if part.name == "client":
            return load(part)
        raise ModuleNotFoundError(name="asyncpg")

    monkeypatch.setattr(cli, "_load", without_servers)
    assert main(["state", "migrate"]) == 2
    assert "yabam state migrate needs a package that is not installed" in capsys.readouterr().err
