"""The surface of the whole client: lamp, tokens, handlers, several channels, clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest

from client_sdk import HandlerError, OrderClient, OrderEvent, Reset, RetryPolicy, UnauthorizedError
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import MemoryCursors
from client_sdk.contract import cursor
from client_sdk.contract.sync import ResetReason, Snapshot, StreamGrant
from client_sdk.machine import status as status_module
from client_sdk.machine.sequencing import Change
from tests.integration.client_sdk.scripted import (
    Answer,
    Asked,
    Script,
    Wire,
    problem,
    refusing,
    scripted,
)
from tests.integration.client_sdk.test_hard_cases import QUICK, becomes, client_of, stored, take
from tests.unit.client_sdk.samples import EPOCH, channel_sync, event, sync_response


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as world:
        yield world


async def test_the_lamp_goes_from_starting_to_live_to_polling_and_back_and_ends_closed(
    script: Script,
) -> None:
    leave = asyncio.Event()

    async def degrades(wire: Wire) -> None:
        wire.head()
        wire.hello()
        await leave.wait()
        wire.bye("degraded", 0)

    script.on_stream = [degrades]
    client = client_of(script, cursors=stored(0))
    shown: list[str] = []
    back = asyncio.Event()

    async def watch() -> None:
        async for status in client.statuses():
            if not shown or shown[-1] != status.mode:
                shown.append(status.mode)
            if shown[-2:] == ["polling", "live"]:
                back.set()

    watching = asyncio.create_task(watch())
    async with client, asyncio.timeout(10):
        await becomes(client, "live")
        leave.set()
        await back.wait()
    async with asyncio.timeout(5):
        await watching
    assert shown == ["starting", "live", "polling", "live", "closed"]


async def test_a_token_may_come_from_an_async_function(script: Script) -> None:
    async def token() -> str:
        return "from-afar"

    await script.commit()
    async with client_of(script, token=token) as client:
        assert await take(client, 1) == [-1]
    assert script.syncs[0].headers["authorization"] == "bearer from-afar"


async def test_a_token_that_cannot_be_had_now_is_asked_for_again(script: Script) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise OSError("the sign-in is away")
        return "late"

    await script.commit()
    async with client_of(script, token=token) as client:
        assert await take(client, 1) == [-1]
    assert len(asked) == 3


async def test_a_token_function_may_end_the_client(script: Script) -> None:
    def token() -> str:
        raise UnauthorizedError("signed out")

    async with client_of(script, token=token) as client:
        with pytest.raises(UnauthorizedError, match="signed out"):
            await take(client, 1)
    assert script.syncs == []


async def test_a_handler_that_keeps_raising_ends_in_an_error_and_is_not_acknowledged(
    script: Script,
) -> None:
    tried: list[int] = []

    async def handle(change: Change) -> None:
        assert isinstance(change, OrderEvent)
        tried.append(change.seq)
        if change.seq == 2:
            raise RuntimeError("the printer is out of paper")

    await script.commit(3)
    cursors = stored(0)
    async with client_of(script, cursors=cursors) as client:
        with pytest.raises(HandlerError) as caught:
            async with asyncio.timeout(10):
                await client.run(handle, retry=RetryPolicy(attempts=3, first_delay=0.0))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert tried == [1, 2, 2, 2]
    assert cursors.checkpoint == Checkpoint(EPOCH, {"store:12": 1})


async def test_several_channels_are_followed_by_one_client_each_in_its_own_order(
    script: Script,
) -> None:
    stores = ["store:12", "store:13"]

    async def both(asked: Asked) -> Answer | None:
        fresh = "lastEventId" not in asked.query
        reset: ResetReason | None = "first_sync" if fresh else None
        snapshot = Snapshot(0, []) if fresh else None
        channels = [
            channel_sync(channel=name, head=0, reset=reset, snapshot=snapshot) for name in stores
        ]
        grant = StreamGrant(f"{script.url}/v1/stream", "ticket", 30.0)
        body = msgspec.json.encode(sync_response(*channels, stream=grant))
        return 200, {"content-type": "application/json"}, body

    async def mixed(wire: Wire) -> None:
        wire.head()
        wire.hello()
        for seq, name in ((1, stores[0]), (1, stores[1]), (2, stores[1]), (2, stores[0])):
            wire.order(event(seq, channel=name))
        await asyncio.Event().wait()

    cursors = MemoryCursors()
    cursors.checkpoint = Checkpoint(EPOCH, dict.fromkeys(stores, 0))
    script.on_sync, script.on_stream = [both] * 20, [mixed]
    got: list[str] = []
    async with (
        OrderClient(script.url, "secret", stores, cursors=cursors, settings=QUICK) as client,
        asyncio.timeout(10),
    ):
        async for change in client.events():
            if isinstance(change, Reset):
                continue
            got.append(change.id)
            if len(got) == 4:
                break
    assert got == ["store:12@1", "store:13@1", "store:13@2", "store:12@2"]
    assert cursors.checkpoint == Checkpoint(EPOCH, {"store:12": 1, "store:13": 2})


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_clock_that_jumps_loses_and_doubles_nothing(script: Script, jump: float) -> None:
    offset = [0.0]
    async with client_of(
        script, cursors=stored(0), clock=lambda: time.monotonic() + offset[0]
    ) as client:
        await becomes(client, "live")
        offset[0] = jump
        await script.commit(2)
        assert await take(client, 2) == [1, 2]


async def test_polling_carries_on_where_the_stream_stays_refused(script: Script) -> None:
    script.always_stream = refusing(problem(503, "overloaded", retry_after="0"))
    async with client_of(script, cursors=stored(0)) as client:
        await becomes(client, "polling")
        await script.commit(3)
        assert await take(client, 3) == [1, 2, 3]


async def test_no_cursor_is_written_for_a_status_that_nobody_reads(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def format_cursor(positions: Mapping[str, int]) -> str:
        written.append("")
        return cursor.format_cursor(positions)

    monkeypatch.setattr(status_module, "format_cursor", format_cursor)
    async with client_of(script, cursors=stored(0)) as client:
        await script.commit(50)
        assert await take(client, 50) == list(range(1, 51))
        assert written == []
        assert client.status.cursor == "store:12@50"
        assert len(written) == 1
