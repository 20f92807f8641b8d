"""The blocking twin: the same promises, for programs without asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from client_sdk import (
    BlockingOrderClient,
    ClosedError,
    HandlerError,
    MemoryCursors,
    OrderEvent,
    RetryPolicy,
    Settings,
)
from client_sdk.checkpoint import Checkpoint
from client_sdk.machine.sequencing import Change
from tests.integration.client_sdk.scripted import CHANNEL, Script, scripted
from tests.unit.client_sdk.samples import EPOCH

QUICK = Settings(backoff_first=0.02, backoff_most=0.1, watermark_timeout=1.0)


class Server:
    """A scripted server on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._ready: Future[Script] = Future()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self._thread.start()
        self.script = self._ready.result(10)

    async def _run(self) -> None:
        async with scripted() as script:
            self._ready.set_result(script)
            await self._ends.wait()

    def commit(self, count: int = 1) -> None:
        """New events."""
        asyncio.run_coroutine_threadsafe(self.script.commit(count), self._loop).result(10)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.stop()


def client_of(server: Server, cursors: MemoryCursors | None = None) -> BlockingOrderClient:
    start = cursors or stored(0)
    return BlockingOrderClient(
        server.script.url, "secret", [CHANNEL], cursors=start, settings=QUICK
    )


def stored(seq: int) -> MemoryCursors:
    cursors = MemoryCursors()
    cursors.checkpoint = Checkpoint(EPOCH, {CHANNEL: seq})
    return cursors


def seq_of(change: Change) -> int:
    assert isinstance(change, OrderEvent)
    return change.seq


def test_it_hands_over_what_is_there_and_what_comes(server: Server) -> None:
    server.commit(2)
    with client_of(server) as client:
        changes = client.events()
        assert [seq_of(next(changes)) for _ in range(2)] == [1, 2]
        server.commit()
        assert seq_of(next(changes)) == 3
        assert len(client.orders) == 3


def test_a_change_is_acknowledged_when_the_next_one_is_asked_for(server: Server) -> None:
    server.commit(3)
    cursors = stored(0)
    with client_of(server, cursors) as client:
        changes = client.events()
        next(changes)
        next(changes)
    assert cursors.checkpoint == Checkpoint(EPOCH, {CHANNEL: 1})


def test_another_thread_can_close_it_while_the_loop_waits(server: Server) -> None:
    with client_of(server) as client:
        closing = threading.Timer(0.3, client.close)
        closing.start()
        assert list(client.events()) == []
        closing.join()
    assert client.status.mode == "closed"


def test_a_handler_that_raises_is_tried_again_and_then_named(server: Server) -> None:
    server.commit()
    cursors = stored(0)
    tried: list[int] = []

    def broken(change: Change) -> None:
        tried.append(seq_of(change))
        raise RuntimeError("the printer is out of paper")

    policy = RetryPolicy(attempts=3, first_delay=0.01)
    with (
        client_of(server, cursors) as client,
        pytest.raises(HandlerError, match="out of paper"),
    ):
        client.run(broken, policy)
    assert tried == [1, 1, 1]
    assert cursors.checkpoint == Checkpoint(EPOCH, {CHANNEL: 0})


def test_a_handler_that_recovers_is_given_the_next_one(server: Server) -> None:
    server.commit(2)
    tried: list[int] = []

    def once_broken(change: Change) -> None:
        tried.append(seq_of(change))
        if len(tried) == 1:
            raise RuntimeError("busy")
        if seq_of(change) == 2:
            client.close()

    with client_of(server) as client:
        client.run(once_broken, RetryPolicy(attempts=2, first_delay=0.01))
    assert tried == [1, 1, 2]


def test_it_can_be_entered_once(server: Server) -> None:
    client = client_of(server)
    with client:
        pass
    with pytest.raises(ClosedError), client:
        pass
