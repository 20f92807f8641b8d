"""The runner: commands become tasks and a timer, and what they bring goes back into the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from client_sdk.client.runner import Runner, Token
from client_sdk.errors import ClientError, UnauthorizedError
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    Close,
    Command,
    Failure,
    Input,
    OpenStream,
    Start,
    StartSync,
    State,
    StreamHello,
    SyncDone,
    SyncFailed,
)
from client_sdk.settings import Settings
from tests.unit.client_sdk.samples import EPOCH, NOW, channel_sync, sync_response

CHANNEL = "store:12"


class Wire:
    """Core and event servers: each sync waits for its answer, each stream for its inputs."""

    def __init__(self) -> None:
        self.syncs: asyncio.Queue[tuple[StartSync, str]] = asyncio.Queue()
        self.answers: asyncio.Queue[SyncDone | SyncFailed | Exception] = asyncio.Queue()
        self.streams: asyncio.Queue[OpenStream] = asyncio.Queue()
        self.pushed: asyncio.Queue[Input | Exception] = asyncio.Queue()
        self.closed = 0

    async def sync(self, command: StartSync, token: str) -> SyncDone | SyncFailed:
        self.syncs.put_nowait((command, token))
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, command: OpenStream) -> AsyncGenerator[Input, None]:
        self.streams.put_nowait(command)
        try:
            while True:
                signal = await self.pushed.get()
                if isinstance(signal, Exception):
                    raise signal
                yield signal
        finally:
            self.closed += 1

    def answer(self, generation: int) -> None:
        response = sync_response(channel_sync(reset=None, head=0))
        self.answers.put_nowait(SyncDone(generation, response))


class Rig:
    """A runner, and what it told the consumer."""

    def __init__(self, token: Token = "t", settings: Settings | None = None) -> None:
        self.wire = Wire()
        self.now = 0.0
        self.finished: list[Failure | Exception | None] = []
        self.ended = asyncio.Event()
        self.changed = 0
        self.machine = Machine({CHANNEL: 0}, EPOCH, settings or Settings(), lambda low, _high: low)
        self.machine._client.sync_state._unfilled.clear()
        self.runner = Runner(
            self.machine, self.wire, token, lambda _put: None, self.finish, self.note,
            lambda: self.now,
        )  # fmt: skip

    def finish(self, cause: Failure | Exception | None) -> None:
        self.finished.append(cause)
        self.ended.set()

    def note(self) -> None:
        self.changed += 1

    async def live(self) -> None:
        self.runner.feed(Start())
        command, _ = await self.wire.syncs.get()
        self.wire.answer(command.generation)
        stream = await self.wire.streams.get()
        self.wire.pushed.put_nowait(StreamHello(stream.generation, EPOCH, NOW))
        await self.until(lambda: self.machine.state is State.LIVE)

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def test_it_syncs_with_the_token_and_opens_the_stream_of_the_answer() -> None:
    rig = Rig()
    await rig.live()
    assert rig.changed >= 3
    await rig.runner.stop()


async def test_a_close_ends_stream_and_tasks_and_is_told_once() -> None:
    before = asyncio.all_tasks()
    rig = Rig()
    await rig.live()
    rig.runner.feed(Close())
    await rig.runner.stop()
    assert rig.finished == [None]
    assert rig.wire.closed == 1
    assert asyncio.all_tasks() == before


async def test_a_stop_in_the_middle_of_a_sync_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    rig = Rig()
    rig.runner.feed(Start())
    await rig.wire.syncs.get()
    rig.runner.feed(Close())
    await rig.runner.stop()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("where", ["sync", "stream"])
async def test_an_error_that_nobody_foresaw_ends_the_client_and_is_its_cause(where: str) -> None:
    rig = Rig()
    bug = ZeroDivisionError("a bug")
    if where == "sync":
        rig.runner.feed(Start())
        rig.wire.answers.put_nowait(bug)
    else:
        await rig.live()
        rig.wire.pushed.put_nowait(bug)
    await rig.ended.wait()
    (cause,) = rig.finished
    assert isinstance(cause, ClientError)
    assert cause.__cause__ is bug
    assert rig.machine.state is State.FAILED
    await rig.runner.stop()


async def test_the_token_callback_is_asked_again_only_when_the_token_was_refused() -> None:
    given: list[str] = []

    async def token() -> str:
        given.append(f"t{len(given) + 1}")
        return given[-1]

    rig = Rig(token)
    rig.runner.feed(Start())
    command, used = await rig.wire.syncs.get()
    rig.wire.answers.put_nowait(SyncFailed(command.generation, Failure("unauthorized", "no")))
    command, again = await rig.wire.syncs.get()
    assert (used, again, given) == ("t1", "t2", ["t1", "t2"])
    rig.runner.feed(Close())
    await rig.runner.stop()


async def test_a_callback_that_raises_is_a_failed_sync_and_unauthorized_ends_it() -> None:
    errors: list[Exception] = [OSError("vault is away"), UnauthorizedError("signed out")]

    def token() -> str:
        raise errors.pop(0)

    rig = Rig(token)
    rig.runner.feed(Start())
    await rig.ended.wait()
    (cause,) = rig.finished
    assert isinstance(cause, UnauthorizedError)
    assert rig.machine.counters.sync_failures == 1
    await rig.runner.stop()


async def test_a_deadline_becomes_a_tick_and_a_new_one_takes_the_place_of_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticked: list[Input] = []
    rig = Rig(settings=Settings(sync_timeout=0.02, backoff_first=30.0))
    handle = rig.machine.handle

    def noting(signal: Input, now: float) -> list[Command]:
        ticked.append(signal)
        return handle(signal, now)

    monkeypatch.setattr(rig.machine, "handle", noting)
    rig.runner.feed(Start())
    await rig.wire.syncs.get()
    rig.now = 0.03  # the clock that the machine goes by
    await rig.until(lambda: rig.machine.counters.sync_failures == 1)
    assert [type(one).__name__ for one in ticked][:2] == ["Start", "Tick"]
    rig.runner.feed(Close())
    await rig.runner.stop()
    assert rig.runner._timer is None or rig.runner._timer.cancelled()


async def test_what_a_closed_stream_still_brings_is_not_read() -> None:
    rig = Rig()
    await rig.live()
    rig.runner.feed(Close())
    rig.wire.pushed.put_nowait(StreamHello(1, EPOCH, NOW))
    await rig.runner.stop()
    assert rig.wire.closed == 1
    assert rig.machine.state is State.CLOSED
