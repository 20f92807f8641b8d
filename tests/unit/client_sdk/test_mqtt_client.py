"""The client over MQTT: what it does with what its connection and Core bring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import httpx
import msgspec
import pytest

from client_sdk.buffered.client import BufferedClient
from client_sdk.buffered.messages import BufferedSettings
from client_sdk.checkpoint import Checkpoint
from client_sdk.client.cursor_stores import MemoryCursors
from client_sdk.client.runner import Token
from client_sdk.contract.errors import ContractError
from client_sdk.errors import ClosedError, UnauthorizedError, UnreachableError
from client_sdk.machine.sequencing import Change
from client_sdk.mqtt import client as module
from client_sdk.mqtt.client import BufferedOrderClient, MqttSettings
from client_sdk.mqtt.connection import Following, MqttConnection
from client_sdk.mqtt.marks import MarkWatch
from client_sdk.mqtt.topics import Mark
from tests.unit.client_sdk.samples import EPOCH, channel_sync, digest_of, event, sync_response

CHANNEL = "store:12"
ORDERS, MARKS = "yabam/v1/12/orders", "yabam/v1/12/marks"
QUICK = MqttSettings(
    start=BufferedSettings(overlap_window=0.0), poll=0.001, backoff_first=0.001, backoff_most=0.002
)


class Broker(MqttConnection):
    """A connection without a network."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.open: list[Following] = []
        self.said: list[tuple[str, dict[str, object]]] = []

    async def until_connected(self) -> None:
        await self.up.wait()

    async def follow(self, topics: Sequence[str]) -> Following:
        if not self.up.is_set():
            raise UnreachableError("no connection")
        self.open.append(Following(topics))
        return self.open[-1]

    async def unfollow(self, following: Following) -> None:
        with suppress(ValueError):
            self.open.remove(following)

    async def say(self, what: str, fields: dict[str, object]) -> bool:
        self.said.append((what, fields))
        return self.up.is_set()

    def push(self, seq: int) -> None:
        body = msgspec.to_builtins(event(seq)) | {"epoch": EPOCH}
        for one in self.open:
            one.put(ORDERS, msgspec.json.encode(body))

    def mark(self, head: int) -> None:
        for one in self.open:
            one.put(MARKS, msgspec.json.encode(Mark(EPOCH, 1.0, {CHANNEL: head})))

    def lose(self) -> None:
        self.up.clear()
        for one in self.open:
            one.lose("the connection was lost")


class World:
    """A broker, a Core with so many events, and what was warned of."""

    def __init__(self) -> None:
        self.broker, self.head, self.asked = Broker(), 0, 0
        self.status = 200
        self.warned: list[str] = []
        self.cursors = MemoryCursors()
        self.cursors.checkpoint = Checkpoint(EPOCH, {CHANNEL: 0})
        self.client = self.made()

    def made(self, token: Token = "t") -> BufferedOrderClient:
        return BufferedOrderClient(
            "http://core", token, [CHANNEL], self.broker, cursors=self.cursors, settings=QUICK,
            warn=self.warned.append, transport=httpx.MockTransport(self.answer),
        )  # fmt: skip

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.status != 200:
            return httpx.Response(self.status)
        known = request.url.params.get("lastEventId", f"{CHANNEL}@0").partition("@")[2]
        events = [event(n) for n in range(int(known) + 1, self.head + 1)]
        shown = [event(n).data for n in range(1, self.head + 1)]
        one = channel_sync(events, head=self.head, digest=digest_of(shown))
        return httpx.Response(200, content=msgspec.json.encode(sync_response(one)))


@pytest.fixture(autouse=True)
async def in_time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)
    async with asyncio.timeout(20):
        yield


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (it lets the loop go on, and waits for no time)
        await asyncio.sleep(0)


def seq_of(change: Change) -> int:
    return getattr(change, "seq", -1)


async def test_what_core_has_and_what_is_pushed_come_once_and_in_order() -> None:
    world = World()
    world.head = 2
    async with world.client as client:
        changes = client.events()
        assert [seq_of(await anext(changes)) for _ in range(2)] == [1, 2]
        third = asyncio.ensure_future(anext(changes))
        await until(lambda: client.mode == "live")
        world.broker.push(3)
        world.broker.push(3)
        assert seq_of(await third) == 3
        world.broker.push(4)
        assert seq_of(await anext(changes)) == 4
        assert client.checkpoint is not None
        assert client.checkpoint.positions == {CHANNEL: 3}
        await changes.aclose()


async def test_a_mark_ahead_of_what_came_leads_to_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEHIND_S", 0.0)
    world = World()
    world.client._settings = MqttSettings(QUICK.start, 0.0, 15.0, 0.001, 0.001, 0.002)
    async with world.client as client:
        changes = client.events()
        first = asyncio.ensure_future(anext(changes))
        await until(lambda: client.mode == "live")
        world.head = 1  # its message is lost
        world.broker.mark(1)
        assert seq_of(await first) == 1
        await changes.aclose()


async def test_while_there_is_no_broker_core_is_polled() -> None:
    world = World()
    async with world.client as client:
        changes = client.events()
        first = asyncio.ensure_future(anext(changes))
        await until(lambda: client.mode == "live")
        world.broker.lose()
        world.head = 1
        assert seq_of(await first) == 1
        assert client.mode == "polling"
        await changes.aclose()


async def test_a_watch_over_the_marks_that_fails_leads_to_a_new_start_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due, watches = MarkWatch.due, []

    def broken_once(watch: MarkWatch, *given: object) -> object:
        if watch not in watches:
            watches.append(watch)
        if len(watches) == 1:
            raise ZeroDivisionError("a bug")
        return due(watch, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(MarkWatch, "due", broken_once)
    world = World()
    async with world.client as client:
        changes = client.events()
        first = asyncio.ensure_future(anext(changes))
        await until(lambda: len(watches) == 2 and client.mode == "live")
        assert any("a bug" in text for text in world.warned)
        world.broker.push(1)
        assert seq_of(await first) == 1
        await changes.aclose()


async def test_a_start_that_fails_leads_to_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    start, starts = BufferedClient.start, 0

    async def broken_once(run: BufferedClient) -> object:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise ZeroDivisionError("a bug")
        return await start(run)

    monkeypatch.setattr(BufferedClient, "start", broken_once)
    world = World()
    world.status = 503  # what it polls meanwhile brings nothing
    async with world.client as client:
        changes = client.events()
        first = asyncio.ensure_future(anext(changes))
        await until(lambda: starts > 1)
        world.status, world.head = 200, 1
        assert seq_of(await first) == 1
        await changes.aclose()


async def test_a_refused_token_ends_the_client_with_its_reason() -> None:
    world = World()
    world.status = 401
    async with world.client as client:
        with pytest.raises(UnauthorizedError):
            await anext(client.events())


async def test_a_token_that_no_header_can_carry_is_refused_at_once() -> None:
    with pytest.raises(ContractError, match="not an access token"):
        World().made("geheim-ß")


async def test_a_callback_that_gives_no_token_once_ends_nothing() -> None:
    given = iter(["token\n", "t"])
    world = World()
    world.head = 1
    world.broker.lose()  # so that it polls
    async with world.made(lambda: next(given, "t")) as client:
        assert seq_of(await anext(client.events())) == 1
    assert any("not an access token" in text for text in world.warned)


async def test_a_closed_client_is_followed_no_more() -> None:
    world = World()
    await world.client.close()
    assert world.client.mode == "closed"
    with pytest.raises(ClosedError):
        await anext(world.client.events())
