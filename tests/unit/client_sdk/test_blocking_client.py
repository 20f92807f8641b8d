"""The blocking twin: its loop's thread, and what calls from other threads get."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import msgspec
import pytest

from client_sdk import (
    BlockingOrderClient,
    ClosedError,
    ContractError,
    HandlerError,
    MemoryCursors,
    RetryPolicy,
)
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.blocking_client import LoopThread
from client_sdk.machine.sequencing import Change
from tests.unit.client_sdk.samples import EPOCH, sync_response
from tests.unit.client_sdk.test_async_client import synced

CHANNEL = "store:12"
WITHIN_S = 20


def answer(request: httpx.Request) -> httpx.Response:
    """A Core with two events, and no streams."""
    if request.url.path != "/v1/sync":
        return httpx.Response(503)
    one = synced(request, head=2)
    return httpx.Response(200, content=msgspec.json.encode(sync_response(one)))


def client_of(token: str = "t") -> BlockingOrderClient:
    cursors = MemoryCursors()
    cursors.checkpoint = Checkpoint(EPOCH, {CHANNEL: 0})
    return BlockingOrderClient(
        "http://core", token, [CHANNEL], cursors=cursors, transport=httpx.MockTransport(answer)
    )


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    one = LoopThread()
    one.start()
    yield one
    one.stop()


async def give(value: int) -> int:
    return value


async def wait() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ZeroDivisionError("a bug")


def test_changes_come_in_order_and_are_acknowledged_by_the_next() -> None:
    with client_of() as client:
        changes = client.events()
        assert [getattr(next(changes), "seq", 0) for _ in range(2)] == [1, 2]
        assert client.checkpoint.positions == {CHANNEL: 2}
        assert len(client.orders) == 2
    assert list(client.events()) == []
    assert client.status.mode == "closed"


def test_a_handler_that_keeps_raising_is_named() -> None:
    def broken(_change: Change) -> None:
        raise RuntimeError("no paper")

    with client_of() as client, pytest.raises(HandlerError, match="no paper"):
        client.run(broken, RetryPolicy(attempts=2, first_delay=0.0))


def test_a_token_that_no_header_can_carry_is_refused_at_the_door() -> None:
    with pytest.raises(ContractError, match="not an access token"):
        client_of("geheim-ß")


def test_work_is_done_on_the_loop_and_its_error_raised_here(loop: LoopThread) -> None:
    assert loop.call(give(5)) == 5
    with pytest.raises(ZeroDivisionError):
        loop.call(fail())


def test_before_its_start_and_after_its_end_it_says_that_it_is_closed() -> None:
    loop = LoopThread()
    with pytest.raises(ClosedError, match="not open"):
        loop.call(give(1))
    loop.start()
    with pytest.raises(ClosedError, match="only once"):
        loop.start()
    loop.stop()
    loop.stop()
    with pytest.raises(ClosedError, match="not open"):
        loop.call(give(1))


def waiting(loop: LoopThread, pool: ThreadPoolExecutor) -> Future[None]:
    """A call from another thread, which the loop has begun."""
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await wait()

    call = pool.submit(loop.call, work())
    assert begun.wait(WITHIN_S)
    return call


def test_who_waits_when_another_thread_stops_it_is_told(loop: LoopThread) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = waiting(loop, pool)
        loop.stop()
        with pytest.raises(ClosedError):
            call.result(WITHIN_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_waits_when_the_loop_ends_by_itself_is_told_and_so_is_who_comes_later(
    loop: LoopThread,
) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with ThreadPoolExecutor(2) as pool:
        call = waiting(loop, pool)
        ending = pool.submit(loop.call, leave())
        with pytest.raises(ClosedError):
            call.result(WITHIN_S)
        with pytest.raises((ClosedError, SystemExit)):
            ending.result(WITHIN_S)
    assert loop._thread is not None
    loop._thread.join(WITHIN_S)
    with pytest.raises(ClosedError):
        loop.call(give(1))
