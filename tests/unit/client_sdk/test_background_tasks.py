"""Every background task of the SDK, killed from inside: it comes back, or its owner says why."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import client_sdk
from client_sdk import BufferedClient, BufferedSettings, BufferedStartError, Settings, YabamClient
from client_sdk.commands import connection as commands
from client_sdk.commands import state as state_commands
from client_sdk.commands import tail as tail_command
from client_sdk.errors import ClientError
from client_sdk.machine.messages import Start, Tick
from client_sdk.mqtt.connection import MqttConnection
from client_sdk.printer.agent import Agent
from client_sdk.printer.connections import TerminalAddress
from client_sdk.printer.journal import Journal
from client_sdk.shared_state.engine import Engine
from client_sdk.shared_state.sender import Loader, Sender
from client_sdk.shared_state.store_writer import StoreWriter
from client_sdk.state.observers import Observers
from tests.unit.client_sdk.printer.test_agent import Core as PrinterCore
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.http_core import HttpCore, token_of
from tests.unit.client_sdk.test_buffered_client import World as BufferedWorld
from tests.unit.client_sdk.test_runner import Rig

ROOT: Final = Path(client_sdk.__file__).parent
HERE: Final = Path(__file__).parent
CHANNEL: Final = "party:12/5"
BUG: Final = ZeroDivisionError("a bug")
QUICK: Final = Settings(backoff_first=0.001, backoff_most=0.002)

HERE_TOO: Final = "test_background_tasks.py"
KILLED_BY: Final = {
    "buffered/client.py": {
        "connect": (HERE_TOO, "test_a_buffered_start_whose_task_is_killed_has_failed"),
        "subscription": (HERE_TOO, "test_a_buffered_start_whose_task_is_killed_has_failed"),
        "listener": (HERE_TOO, "test_a_buffered_start_whose_task_is_killed_has_failed"),
        "sync": (HERE_TOO, "test_a_buffered_start_whose_task_is_killed_has_failed"),
        "timer": (HERE_TOO, "test_a_buffered_start_whose_timer_is_killed_has_failed"),
    },
    "client/receipts.py": {
        "receipts": ("test_receipts.py", "test_a_sender_whose_task_is_killed_begins_another"),
    },
    "client/runner.py": {
        "sync": (
            "test_runner.py",
            "test_an_error_that_nobody_foresaw_ends_the_client_and_is_its_cause",
        ),
        "stream": (
            "test_runner.py",
            "test_an_error_that_nobody_foresaw_ends_the_client_and_is_its_cause",
        ),
        "timer": (HERE_TOO, "test_a_client_whose_timer_is_killed_ends_with_its_reason"),
        "handling of an input": (
            HERE_TOO,
            "test_a_client_that_cannot_take_an_input_ends_with_its_reason",
        ),
    },
    "commands/connection.py": {
        "reason to wait": (HERE_TOO, "test_a_command_whose_task_is_killed_ends_with_its_error"),
        "watch over stdout": ("test_commands.py", "test_endless_work_ends_when_nobody_reads_it"),
    },
    "commands/state.py": {
        "lamp": (HERE_TOO, "test_a_command_whose_lamp_is_killed_ends_with_its_error"),
        "watch over the client": (
            HERE_TOO,
            "test_a_command_whose_task_is_killed_ends_with_its_error",
        ),
    },
    "commands/tail.py": {
        "lamp": (HERE_TOO, "test_a_command_whose_lamp_is_killed_ends_with_its_error"),
    },
    "mqtt/client.py": {
        "start": ("test_mqtt_client.py", "test_a_start_that_fails_leads_to_a_new_one"),
        "watch over the marks": (
            "test_mqtt_client.py",
            "test_a_watch_over_the_marks_that_fails_leads_to_a_new_start_and_is_told",
        ),
    },
    "mqtt/connection.py": {
        "connection to the MQTT broker": (
            HERE_TOO,
            "test_a_connection_to_a_broker_that_is_killed_comes_back",
        ),
        "status of the device": (
            "test_mqtt_connection.py",
            "test_a_status_that_cannot_be_told_ends_the_session_and_not_the_device",
        ),
    },
    "printer/agent.py": {
        "report that this agent prints here": (
            HERE_TOO,
            "test_an_agent_that_cannot_hold_its_printer_ends_with_the_reason",
        ),
    },
    "shared_state/engine.py": {
        "sender": (HERE_TOO, "test_a_task_of_the_shared_state_comes_back"),
        "loader": (HERE_TOO, "test_a_task_of_the_shared_state_comes_back"),
        "store-writer": (HERE_TOO, "test_a_task_of_the_shared_state_comes_back"),
        "renewal": (HERE_TOO, "test_a_task_of_the_shared_state_comes_back"),
        "observers": (HERE_TOO, "test_observers_that_cannot_be_told_are_told_of_the_next_change"),
        "resolver": (HERE_TOO, "test_a_resolver_that_is_killed_is_told"),
    },
    "shared_state/store_writer.py": {
        "write to the store": (
            "state/test_store_writer.py",
            "test_a_write_that_fails_after_its_caller_is_gone_is_told_and_tried_again",
        ),
    },
}
STARTERS: Final = {"keep", "once", "later", "beside", "to_its_end", "_spawn"}
PASS_A_NAME_ON: Final = {"_spawn"}
"""Functions that start a task by the name that they are given."""


def started() -> dict[str, set[str]]:
    """The names of all tasks that the code starts, by module."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text())
        if name == "supervision.py" or "client_sdk.supervision" not in ast.unparse(tree):
            continue
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
                if called not in STARTERS or function.name in PASS_A_NAME_ON:
                    continue
                first = node.args[0]
                assert isinstance(first, ast.Constant), f"{name}: {ast.unparse(node)} has no name"
                found.setdefault(name, set()).add(str(first.value))
    return found


def test_each_task_that_the_code_starts_is_killed_by_a_test() -> None:
    assert started() == {module: set(tasks) for module, tasks in KILLED_BY.items()}
    for tasks in KILLED_BY.values():
        for file, test in tasks.values():
            assert f"def {test}(" in (HERE / file).read_text()


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
        await asyncio.sleep(0)


class Killer:
    """Makes a function raise when it is called, as often as is said."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self._patched = patched
        self.calls = 0

    def kill(self, owner: object, name: str, times: int = 1) -> None:
        """Of an async function."""
        original = getattr(owner, name)

        async def work(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls <= times:
                raise BUG
            return await original(*given, **named)

        self._patched.setattr(owner, name, work)

    def break_once(self, owner: object, name: str) -> None:
        """Of a plain function."""
        original = getattr(owner, name)

        def work(*given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise BUG
            return original(*given, **named)

        self._patched.setattr(owner, name, work)


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    return Killer(monkeypatch)


# ── shared state ─────────────────────────────────────────────────────────────


@asynccontextmanager
async def shared(core: CoreModel, **more: Any) -> AsyncIterator[YabamClient]:
    async with YabamClient(
        "http://core", token_of("guest"), [CHANNEL], settings=QUICK,
        transport=HttpCore(core).transport, **more,
    ) as client:  # fmt: skip
        yield client


@pytest.mark.parametrize(
    ("name", "owner", "function"),
    [("sender", Sender, "run"), ("loader", Loader, "run"), ("store-writer", StoreWriter, "run"),
     ("renewal", Engine, "_renew")],
)  # fmt: skip
async def test_a_task_of_the_shared_state_comes_back(
    killer: Killer, name: str, owner: type, function: str
) -> None:
    killer.kill(owner, function, times=3)
    async with shared(CoreModel()) as client:
        await until(lambda: killer.calls == 4)
        assert client.state.last_error == f"the {name} failed: {BUG!r}; it is restarted"
        edit = await client.state(CHANNEL)["cart"].merge({"a": 1})
        assert (await edit.settled()).outcome == "applied"


async def test_observers_that_cannot_be_told_are_told_of_the_next_change(killer: Killer) -> None:
    killer.break_once(Observers, "told")
    async with shared(CoreModel()) as client:
        told = asyncio.Event()
        cart = client.state(CHANNEL)["cart"]
        end = cart.subscribe(lambda _: told.set())
        await cart.merge({"a": 1})
        await until(lambda: killer.calls > 0)
        assert client.state.last_error == f"the observers failed: {BUG!r}"
        await cart.merge({"a": 2})
        await told.wait()
        end()


async def test_a_resolver_that_is_killed_is_told(killer: Killer) -> None:
    async with shared(CoreModel()) as client:
        engine = client._engine
        assert engine is not None
        killer.kill(engine, "_resolved")
        engine._resolvers["cart"] = lambda *_given: None
        engine._decide(Waiting())  # type: ignore[arg-type]
        await until(lambda: client.state.last_error is not None)
        assert client.state.last_error == f"the resolver failed: {BUG!r}"


class Waiting:
    """A conflict."""

    key = "cart"


# ── clients of orders ────────────────────────────────────────────────────────


async def test_a_client_whose_timer_is_killed_ends_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(settings=Settings(sync_timeout=0.001, backoff_first=30.0))
    handle = rig.machine.handle

    def broken(signal: Any, now: float) -> Any:
        if isinstance(signal, Tick):
            raise BUG
        return handle(signal, now)

    monkeypatch.setattr(rig.machine, "handle", broken)
    await ends_with_the_bug(rig, lambda: rig.runner.feed(Start()))


async def test_a_client_that_cannot_take_an_input_ends_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    await rig.live()

    def broken(_signal: Any, _now: float) -> Any:
        raise BUG  # of any input, the end's too

    monkeypatch.setattr(rig.machine, "handle", broken)
    await ends_with_the_bug(rig, lambda: rig.runner.feed_soon(Tick()))


async def ends_with_the_bug(rig: Rig, begin: Callable[[], None]) -> None:
    begin()
    await rig.ended.wait()
    (cause,) = rig.finished
    assert isinstance(cause, ClientError)
    assert cause.__cause__ is BUG
    await rig.runner.stop()


@pytest.mark.parametrize("step", ["connect", "subscribe", "messages", "fetch"])
async def test_a_buffered_start_whose_task_is_killed_has_failed(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    world = BufferedWorld()

    async def broken(*_given: object) -> None:
        raise BUG

    async def broken_messages() -> AsyncIterator[Any]:
        raise BUG
        yield

    monkeypatch.setattr(world, step, broken_messages if step == "messages" else broken)
    client = buffered(world)
    result = await client.start()
    if step == "messages" and result.success:
        with pytest.raises(BufferedStartError, match="a bug"):
            await anext(client.changes())
    else:
        assert (result.success, result.error) == (False, "a bug")
    await client.close()


@pytest.mark.parametrize("is_warning", [False, True])
async def test_a_buffered_start_whose_timer_is_killed_has_failed(
    monkeypatch: pytest.MonkeyPatch, *, is_warning: bool
) -> None:
    world = BufferedWorld()

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world, "connect", never)
    client = buffered(world, BufferedSettings(subscribe_timeout=0.001))

    def broken(*_given: object) -> Any:
        raise BUG

    monkeypatch.setattr(client.machine, "tick", broken)
    if is_warning:
        # The machine cannot even take the failure.
        monkeypatch.setattr(client.machine, "failed", broken)
    result = await client.start()
    assert (result.success, result.error) == (False, "a bug")
    await client.close()


def buffered(world: BufferedWorld, settings: BufferedSettings | None = None) -> BufferedClient:
    quick = settings or BufferedSettings(overlap_window=0.0)
    return BufferedClient(world, world.fetch, {"store:12": 0}, None, quick)


# ── devices ──────────────────────────────────────────────────────────────────


async def test_a_connection_to_a_broker_that_is_killed_comes_back(
    killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client_sdk.supervision.BACK_OFF", QUICK)
    killer.kill(MqttConnection, "_keep")
    connection = MqttConnection("broker", user="u", password="p", tls=False)
    connection._tasks._back_off = QUICK

    async def session() -> None:
        connection._client = object()  # type: ignore[assignment]
        connection._changed.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(connection, "_session", session)
    async with connection:
        waiting = asyncio.ensure_future(connection.until_connected())
        await until(lambda: connection.trouble is not None)
        assert "a bug" in (connection.trouble or "")
        await waiting


async def test_an_agent_that_cannot_hold_its_printer_ends_with_the_reason(tmp_path: Path) -> None:
    core = PrinterCore()

    async def broken(_troubles: object, *, leaving: bool = False) -> None:
        if not leaving:
            raise BUG

    core.hold = broken  # type: ignore[method-assign, assignment]
    journal = Journal(tmp_path / "journal")
    agent = Agent(core, journal, TerminalAddress(lambda _: None), lambda _: None)
    with pytest.raises(ZeroDivisionError):
        await agent.run()
    journal.close()


# ── commands ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("task", ["reason to wait", "watch over the client"])
async def test_a_command_whose_task_is_killed_ends_with_its_error(
    monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    def broken(*_given: object) -> Any:
        raise BUG

    async def broken_later(*_given: object) -> Any:
        raise BUG

    monkeypatch.setattr(commands, "_QUIET_S", 0.0)
    if task == "reason to wait":
        with pytest.raises(ZeroDivisionError):
            async with commands.told_to_wait(broken):
                await asyncio.Event().wait()
        return
    monkeypatch.setattr(state_commands, "_failed", broken_later)
    http = HttpCore(CoreModel())
    http.away = True
    async with YabamClient(
        "http://core", token_of("guest"), [CHANNEL], settings=QUICK, transport=http.transport
    ) as client:
        with pytest.raises(ZeroDivisionError):
            await state_commands.loaded(client, client.state(CHANNEL)["cart"], 10.0)


@pytest.mark.parametrize("module", [tail_command, state_commands])
async def test_a_command_whose_lamp_is_killed_ends_with_its_error(
    monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    async def broken(*_given: object) -> None:
        raise BUG

    http = HttpCore(CoreModel())
    http.away = True
    made = {
        "OrderClient": client_sdk.OrderClient, "YabamClient": YabamClient,
    }  # fmt: skip
    name = "OrderClient" if module is tail_command else "YabamClient"

    def client_of(core: str, token: str, channels: Any, **more: Any) -> Any:
        return made[name](core, token, channels, transport=http.transport, settings=QUICK)

    async def known(_options: object) -> None:
        """The host exists."""

    monkeypatch.setattr(module, name, client_of)
    monkeypatch.setattr(module, "check_host", known)
    monkeypatch.setattr(module, "show_lamp", broken)
    options = Options()
    command = module.tail if module is tail_command else module.watch
    with pytest.raises(ZeroDivisionError):
        await command(options)


class Options:
    """The options of a command line."""

    core = "http://core"
    token = token_of("guest")
    cursor = None
    store = ("12",)
    table: tuple[str, ...] = ()
    channel = CHANNEL
    key: tuple[str, ...] = ()
    json = False
