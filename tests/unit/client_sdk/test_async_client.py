"""The asyncio client: what a program sees, over a Core and a stream that a test scripts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from unittest.mock import patch

import httpx
import msgspec
import pytest

from client_sdk import (
    ClientError,
    ClosedError,
    ContractError,
    HandlerError,
    MemoryCursors,
    OrderClient,
    OrderEvent,
    RetryPolicy,
    Settings,
    UnauthorizedError,
)
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.runner import Token
from client_sdk.contract.sync import ChannelSync, Snapshot
from client_sdk.machine.messages import State, Tick
from client_sdk.machine.sequencing import Change
from client_sdk.machine.status import status_of
from tests.unit.client_sdk.samples import EPOCH, channel_sync, digest_of, event, sync_response

CHANNEL = "store:12"
HELLO = {"server": "s", "epoch": EPOCH, "watermark": "2026-11-21T12:00:00Z", "ends_in_ms": 60_000,
         "replayed": 0}  # fmt: skip
QUICK = Settings(backoff_first=0.001, backoff_most=0.002)


class Stream(httpx.AsyncByteStream):
    """An event stream that a test writes to."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.send("hello", HELLO)

    def send(self, kind: str, data: object) -> None:
        body = msgspec.json.encode(data).decode()
        self.frames.put_nowait(f"event: {kind}\ndata: {body}\n\n".encode())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield await self.frames.get()


class World:
    """A Core with so many events, and the streams that it gave."""

    def __init__(self, head: int = 0) -> None:
        self.head = head
        self.status = 200
        self.streams: list[Stream] = []
        self.told: list[httpx.Request] = []
        self.cursors = MemoryCursors()
        self.cursors.checkpoint = Checkpoint(EPOCH, {CHANNEL: 0})

    def client(self, token: Token = "t", device: str | None = None) -> OrderClient:
        return OrderClient(
            "http://core", token, [CHANNEL], cursors=self.cursors, device=device,
            settings=QUICK, transport=httpx.MockTransport(self.answer),
        )  # fmt: skip

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/stream":
            self.streams.append(Stream())
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, stream=self.streams[-1])
        if request.url.path != "/v1/sync":
            self.told.append(request)
            return httpx.Response(200)
        if self.status != 200:
            return httpx.Response(self.status)
        one = synced(request, self.head)
        return httpx.Response(200, content=msgspec.json.encode(sync_response(one)))


def synced(request: httpx.Request, head: int) -> ChannelSync:
    """What Core answers to a sync: a snapshot to who has no cursor, and else the events since."""
    orders = [event(n).data for n in range(1, head + 1)]
    cursor = request.url.params.get("lastEventId")
    if cursor is None:
        snapshot = Snapshot(head, orders)
        return channel_sync(reset="first_sync", snapshot=snapshot, digest=digest_of(orders))
    known = int(cursor.partition("@")[2])
    events = [event(n) for n in range(known + 1, head + 1)]
    return channel_sync(events, head=head, digest=digest_of(orders))


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
        await asyncio.sleep(0)


def seq_of(change: Change) -> int:
    assert isinstance(change, OrderEvent)
    return change.seq


async def test_what_a_sync_and_the_stream_bring_is_handed_over_once_and_in_order() -> None:
    world = World(2)
    async with world.client() as client:
        changes = client.events()
        assert [seq_of(await anext(changes)) for _ in range(2)] == [1, 2]
        await until(lambda: client.status.mode == "live")
        for seq in (2, 3, 4):
            world.streams[-1].send("order.placed", event(seq))
        assert [seq_of(await anext(changes)) for _ in range(2)] == [3, 4]
        assert world.cursors.checkpoint == Checkpoint(EPOCH, {CHANNEL: 3})
        assert client.checkpoint == Checkpoint(EPOCH, {CHANNEL: 4})
        await changes.aclose()


async def test_a_loop_that_is_left_early_gets_the_change_again() -> None:
    async with World(1).client() as client:
        for _ in range(2):
            changes = client.events()
            assert seq_of(await anext(changes)) == 1
            await changes.aclose()


async def test_there_is_one_consumer_at_a_time() -> None:
    async with World().client() as client:
        first, second = client.events(), client.events()
        waiting = asyncio.ensure_future(anext(first))
        await until(lambda: client._taking)
        with pytest.raises(ClientError, match="one client per consumer"):
            await anext(second)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_a_closed_client_ends_its_loops_and_is_not_opened_again() -> None:
    world = World()
    client = world.client()
    with pytest.raises(ClosedError, match="not open"):
        await anext(client.events())
    async with client:
        pass
    assert client.status.mode == "closed"
    assert [change async for change in client.events()] == []
    with pytest.raises(ClosedError, match="only once"):
        await client.__aenter__()


async def test_a_handler_that_keeps_raising_ends_the_client_and_acknowledges_nothing() -> None:
    world, tried = World(1), 0

    def broken(_change: Change) -> None:
        nonlocal tried
        tried += 1
        raise RuntimeError("no paper")

    async with world.client() as client:
        with pytest.raises(HandlerError, match="no paper"):
            await client.run(broken, RetryPolicy(attempts=3, first_delay=0.0))
        assert client.status.mode == "failed"
    assert tried == 3
    assert world.cursors.checkpoint == Checkpoint(EPOCH, {CHANNEL: 0})


async def test_a_refused_token_is_the_reason_of_the_end() -> None:
    world = World()
    world.status = 401
    async with world.client() as client:
        with pytest.raises(UnauthorizedError):
            await anext(client.events())


async def test_statuses_tell_each_change_and_the_end() -> None:
    world = World()
    modes = []
    async with world.client() as client:
        async for status in client.statuses():
            modes.append(status.mode)
            if status.mode == "live":
                await client.close()
    assert modes[0] == "starting"
    assert modes[-2:] == ["live", "closed"]


@pytest.mark.parametrize("token", ["", "geheim-ß", "two words", "line\nend", "\x00"])
async def test_a_token_that_no_header_can_carry_is_refused_at_the_door(token: str) -> None:
    with pytest.raises(ContractError, match="not an access token") as refused:
        World().client(token)
    assert not token or token not in str(refused.value)


async def test_a_function_that_gives_no_token_is_asked_again_and_its_fault_is_told() -> None:
    world, given = World(1), ["geheim-ß", "good"]
    async with world.client(lambda: given.pop(0)) as client:
        changes = client.events()
        waiting = asyncio.ensure_future(anext(changes))
        await until(lambda: "not an access token" in (client.status.last_error or ""))
        assert seq_of(await waiting) == 1
        await changes.aclose()


async def test_a_report_that_cannot_be_sent_is_in_the_status_and_stops_nothing() -> None:
    world = World(1)
    async with world.client(device="till-1") as client:
        client._receipts._sleep = client._shown_orders._sleep = no_time
        with patch.object(client._wire, "_tell", side_effect=ZeroDivisionError("a bug")):
            client.seen("order-1")
            await until(lambda: "a bug" in (client.status.last_error or ""))
            await until(lambda: client._shown_orders._task is None)
        client.seen("order-2")
        await until(lambda: bool(world.told))
        assert json.loads(world.told[0].content) == {"orders": ["order-1", "order-2"]}
        await until(lambda: client.status.last_error is None)


async def no_time(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_inputs_make_no_status_which_costs_as_much_as_there_are_channels() -> None:
    """A status formats the cursor of every channel: it is made when a program asks, not before."""
    world = World(3)
    async with world.client() as client:
        changes = client.events()
        with (
            patch("client_sdk.client.async_client.status_of", wraps=status_of) as made,
            patch("client_sdk.machine.status.format_cursor", return_value="") as formatted,
        ):
            for _ in range(3):
                await anext(changes)
            await until(lambda: client._machine.state is State.LIVE)
            assert client._runner is not None
            for _ in range(100):
                client._runner.feed(Tick())
            assert (made.call_count, formatted.call_count) == (0, 0)
            assert client.status.mode == "live"
            assert (made.call_count, formatted.call_count) == (1, 1)
        await changes.aclose()
