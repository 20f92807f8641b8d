"""`yabam`: what a person reads when something is wrong, and what each command is made of."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import pkgutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Final

import httpx
import msgspec
import pytest

from client_sdk import OrderProducer
from client_sdk.cli import all_commands, main
from client_sdk.command_line.parser import Parser
from client_sdk.commands import connection
from client_sdk.contract.problem import TITLES, encode_problem, problem
from client_sdk.machine.messages import State
from client_sdk.machine.status import Mode, Status
from tests.unit.client_sdk.samples import order

ID: Final = "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"
STEP: Final = ["order", "step", ID, "accepted", "--core", "http://127.0.0.1:1", "--token", "t"]


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
        monkeypatch.setattr(connection, "OrderProducer", made)

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
        assert "The order is now: preparing, version 7" in said
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
    assert main(["order", "show", "../sync", "--core", "http://127.0.0.1:1", "--token", "t"]) == 2
    assert "is not an order id" in capsys.readouterr().err


def leaves(parser: Parser) -> Iterator[Parser]:
    """The commands that do something."""
    if parser.get_default("run") is not None:
        yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from leaves(below)


LEAVES: Final = {leaf.prog: leaf for leaf in leaves(all_commands())}
PROCESSES: Final = {
    f"yabam {name}"
    for name in ("core", "relay", "ingest", "events", "mqtt", "mqtt-admin", "webhooks", "printer")
}


def test_each_part_brings_its_commands() -> None:
    assert LEAVES.keys() >= PROCESSES | {"yabam tail", "yabam state get", "yabam state migrate"}


@pytest.mark.parametrize("name", LEAVES)
def test_what_a_command_names_can_run_it(name: str) -> None:
    assert callable(pkgutil.resolve_name(LEAVES[name].get_default("run")))


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - PROCESSES - {"yabam completion"}))
def test_every_command_that_prints_results_takes_json(name: str) -> None:
    assert "--json" in LEAVES[name].format_help()


HEAVY: Final = {
    "aiokafka", "alembic", "asyncio", "asyncpg", "httpx", "jwt", "pydantic", "rich", "sqlalchemy",
    "sqlite3", "starlette", "structlog", "uvloop",
}  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["order", "--help"], ["tial"]])
def test_a_question_about_commands_loads_nothing_that_they_need(words: list[str]) -> None:
    program = f"import sys; from client_sdk.cli import main; main({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "core_api.commands" in loaded
    assert not HEAVY & loaded


def test_a_command_of_the_sdk_loads_no_server() -> None:
    program = (
        "import sys; from client_sdk.cli import main;"
        f"main({['order', 'show', 'no id', '--token', 't']!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "client_sdk.commands.orders" in loaded
    assert not {"asyncpg", "core_api.main", "event_server.main", "starlette"} & loaded


def test_garbage_is_looked_for_again_once_a_command_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bool] = []

    def run(_options: argparse.Namespace) -> int:
        looked.append(gc.isenabled())
        return 0

    def load(_name: str) -> Callable[[argparse.Namespace], int]:
        looked.append(gc.isenabled())
        return run

    monkeypatch.setattr(pkgutil, "resolve_name", load)
    assert main(STEP) == 0
    assert looked == [False, True]


def test_a_command_whose_packages_are_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("core", "starting"):
        monkeypatch.delitem(sys.modules, f"core_api.processes.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert main(["core"]) == 2
    assert capsys.readouterr().err == (
        "yabam: yabam core needs a package that is not installed (uvloop): "
        "pip install 'yabam-events[server]'\n"
    )


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000", "ftp://core", "http://", "http://core:port", "http://core:99999", "core",
        "http://a@core", "http://core/?x=1", "http://core#x", "http://co re", "http://[::1", "",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_sent(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tail", "--store", "1", "--token", "t", "--core", address]) == 2
    assert "write http://host:port" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://core", "https://core:8443/behind/", "http://[::1]:80"])
def test_an_address_may_have_a_port_and_a_path(address: str) -> None:
    asked = ["tail", "--store", "1", "--core", address]
    assert all_commands().parse_args(asked).core == address


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tail", "--token", "t"], "name a store or a table: --store 12 or --table 12/5"),
        (["tail", "--store", "1"], "give an access token"),
        (["tail", "--store", "1", "--token", "no tokén"], "not an access token"),
        (["tail", "--store", "a b", "--token", "t"], "store:a b"),
        (["order", "list", "--token", "t"], "name a store or a table"),
        (["order", "place", "--store", "1", "--item", "Rice", "--token", "t"], "is not an item"),
        (["state", "set", "public:1", "x", "[1]", "--token", "t"], "is not a JSON object"),
        (["state", "restore", "/nowhere", "--token", "t"], "is not a file that export wrote"),
        (["state", "get", "public:1", "--wait", "nan"], "is not a number of seconds"),
        (["replay", "x.csv", "--speed-up", "0", "--token", "t"], "is not a speed-up"),
        (["token"], "give the token's holder"),
        (["token", "--owner", "1", "--lifetime", "1y"], "is not a lifetime"),
    ],
)
def test_what_is_asked_for_wrongly_ends_with_status_2_and_says_what_is_wrong(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("YABAM_TOKEN", raising=False)
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_an_error_is_json_where_results_are(
    core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    core(httpx.Response(404, content=encode_problem(problem("not-found", "no such order"))))
    assert main([*STEP, "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err) == {"error": "There is no such thing: no such order"}


def test_an_order_is_shown_as_json(
    core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    core(httpx.Response(200, content=msgspec.json.encode(order(ID, 7, "preparing"))))
    assert main(["order", "show", ID, "--token", "t", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["id"], shown["version"], shown["status"]) == (ID, 7, "preparing")


def test_while_core_is_busy_each_attempt_is_told(
    core: Callable[[httpx.Response], None], capsys: pytest.CaptureFixture[str]
) -> None:
    core(httpx.Response(503, content=encode_problem(problem("unavailable", "no database"))))
    assert main(STEP) == 1
    said = capsys.readouterr().err
    assert said.startswith("● waiting for Core, attempt 1 failed: ")
    assert "no database; again in " in said


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("yabam 0.")


def test_without_a_command_the_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: yabam" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name.split()[-1] in script for name in LEAVES)


def test_without_its_package_completion_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'yabam-events[completion]'" in capsys.readouterr().err


async def test_the_lamp_is_told_when_it_changes_and_not_when_something_else_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    modes: tuple[Mode, ...] = ("starting", "starting", "live", "live", "offline", "live")

    async def statuses() -> AsyncIterator[Status]:
        for pending, mode in enumerate(modes):
            yield Status(mode, State.LIVE, "", None, None, None, None, pending, None)

    await connection.show_lamp(statuses())
    told = ["● starting", "● live", "● offline", "● live"]
    assert capsys.readouterr().err.splitlines() == told


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["list", "12"], "GET /v1/stores/12/pushes"),
        (["list", "12", "--guests"], "GET /v1/stores/12/guest-pushes"),
        (["remove", "12/phone"], "DELETE /v1/stores/12/pushes/phone"),
        (["remove", "12/5/phone"], "DELETE /v1/stores/12/guest-pushes/5/phone"),
    ],
)
def test_pushes_of_a_store_and_of_its_guests_are_asked_for_where_they_are(
    words: list[str], asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def give(request: httpx.Request) -> httpx.Response:
        requests.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={"pushes": []})

    made = partial(httpx.AsyncClient, transport=httpx.MockTransport(give))
    monkeypatch.setattr("client_sdk.commands.connection.httpx.AsyncClient", made)
    assert main(["push", *words, "--core", "http://127.0.0.1:1", "--token", "t"]) == 0
    assert requests == [asked]


@pytest.mark.parametrize("place", ["12", "12/", "/phone", "12//phone", "12/5/phone/more"])
def test_what_names_no_device_is_told_before_anything_is_asked(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "remove", place, "--core", "http://127.0.0.1:1", "--token", "t"]) == 2
    assert "write STORE/NAME" in capsys.readouterr().err


async def test_endless_work_ends_when_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, ended = asyncio.Event(), []

    async def work() -> None:
        gone.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    monkeypatch.setattr(connection, "_reader_gone", lambda: contextlib.nullcontext(gone))
    async with asyncio.timeout(10):
        with pytest.raises(BrokenPipeError):
            await connection.while_read(work())
    assert ended == [True]


async def test_work_that_ends_by_itself_gives_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        raise ZeroDivisionError("a bug")

    never = asyncio.Event()
    monkeypatch.setattr(connection, "_reader_gone", lambda: contextlib.nullcontext(never))
    with pytest.raises(ZeroDivisionError):
        await connection.while_read(work())
