"""What a device says it has applied between syncs: gathered, and tried again a few times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from client_sdk.checkpoint import Checkpoint
from client_sdk.client.receipts import ReceiptSender, SeenSender
from client_sdk.contract.device import MAX_SEEN_ORDERS, DeviceReport
from client_sdk.transport.http_transport import Transport


class World:
    """A Core that takes receipts, or does not, and time that a test lets pass."""

    def __init__(self, *taken: bool) -> None:
        self.taken = list(taken)
        self.said: list[Checkpoint] = []
        self.slept: list[float] = []
        self.sender = ReceiptSender(self.send, self.sleep)

    async def send(self, checkpoint: Checkpoint) -> bool:
        self.said.append(checkpoint)
        return self.taken.pop(0) if self.taken else True

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def until_done(self) -> None:
        while (task := self.sender._task) is not None:
            await asyncio.wait({task})


def at(seq: int) -> Checkpoint:
    return Checkpoint("E1", {"store:12": seq})


async def test_what_is_applied_within_a_second_is_said_once() -> None:
    world = World()
    for seq in (1, 2, 3):
        world.sender.applied(at(seq))
    await world.until_done()
    assert (world.said, world.slept) == ([at(3)], [1.0])


async def test_what_is_applied_later_is_said_later() -> None:
    world = World()
    world.sender.applied(at(1))
    await world.until_done()
    world.sender.applied(at(2))
    await world.until_done()
    assert world.said == [at(1), at(2)]


async def test_what_was_not_taken_is_said_again_with_growing_pauses_and_then_left() -> None:
    world = World(False, False, False, False, True)
    world.sender.applied(at(1))
    await world.until_done()
    assert (world.said, world.slept) == ([at(1)] * 4, [1.0, 2.0, 4.0, 8.0])


async def test_what_cannot_be_sent_for_a_reason_nobody_foresaw_keeps_back_nothing_after_it() -> (
    None
):
    world = World()
    send, bugs = world.send, [ZeroDivisionError("a bug")]

    async def broken_once(checkpoint: Checkpoint) -> bool:
        if bugs:
            raise bugs.pop()
        return await send(checkpoint)

    world.sender = ReceiptSender(broken_once, world.sleep)
    world.sender.applied(at(1))
    await world.until_done()
    assert world.said == [at(1)]
    assert trouble_of(world.sender) is None
    bugs += [ZeroDivisionError("a bug")] * 4
    world.sender.applied(at(2))
    await world.until_done()
    assert "a bug" in (trouble_of(world.sender) or "")
    world.sender.applied(at(3))
    await world.until_done()
    assert world.said == [at(1), at(3)]
    assert trouble_of(world.sender) is None


async def test_a_sender_whose_task_is_killed_begins_another() -> None:
    world = World()
    sleep, bugs = world.sleep, [ZeroDivisionError("a bug")]

    async def broken_once(seconds: float) -> None:
        if bugs:
            raise bugs.pop()
        await sleep(seconds)

    told: list[str] = []
    world.sender = ReceiptSender(world.send, broken_once, told.append)
    world.sender.applied(at(1))
    await world.until_done()
    await asyncio.sleep(0)
    assert told == ["the receipts failed: ZeroDivisionError('a bug')"]
    world.sender.applied(at(2))
    await world.until_done()
    assert world.said == [at(2)]


def trouble_of(sender: ReceiptSender) -> str | None:
    return sender.trouble


class Screen:
    """A device that shows orders, before a Core that takes what it says of them, or does not."""

    def __init__(self, *taken: bool) -> None:
        self.taken = list(taken)
        self.said: list[list[str]] = []
        self.sender = SeenSender(self.send, self.sleep)

    async def send(self, orders: Sequence[str]) -> bool:
        self.said.append(list(orders))
        return self.taken.pop(0) if self.taken else True

    async def sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    async def show(self, *orders: str) -> None:
        for order in orders:
            self.sender.seen(order)
        while (task := self.sender._task) is not None:
            await asyncio.wait({task})


async def test_an_order_that_is_shown_again_and_again_is_said_once() -> None:
    screen = Screen()
    await screen.show("a", "b", "a")
    await screen.show("a")
    assert screen.said == [["a", "b"]]


async def test_a_screen_full_of_orders_is_said_in_parts_that_core_takes() -> None:
    screen = Screen()
    await screen.show(*(str(n) for n in range(MAX_SEEN_ORDERS + 1)))
    assert [len(one) for one in screen.said] == [MAX_SEEN_ORDERS, 1]


async def test_what_core_does_not_take_for_long_is_said_with_the_next_order() -> None:
    screen = Screen(False, False, False, False)
    await screen.show("a")
    assert screen.said == [["a"]] * 4
    await screen.show("b")
    assert screen.said[-1] == ["a", "b"]


async def test_nothing_is_said_after_the_end() -> None:
    world = World()
    world.sender.applied(at(1))
    await world.sender.stop()
    world.sender.applied(at(2))
    await asyncio.sleep(0)
    assert world.said == []


@pytest.mark.parametrize(
    ("answer", "taken"),
    [(200, True), (404, True), (422, True), (429, False), (500, False), (503, False)],
)
async def test_only_what_may_be_taken_later_is_tried_again(answer: int, taken: bool) -> None:
    core = httpx.MockTransport(lambda _request: httpx.Response(answer))
    async with httpx.AsyncClient(base_url="http://core", transport=core) as http:
        transport = Transport(http, lambda: DeviceReport("till-1", "live", 0))
        assert await transport.receipts(at(1), "token") is taken


async def test_who_is_no_owner_asks_once() -> None:
    asked: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(403)

    async with httpx.AsyncClient(
        base_url="http://core", transport=httpx.MockTransport(refuse)
    ) as http:
        transport = Transport(http, lambda: DeviceReport("ops-1", "live", 0))
        assert await transport.receipts(at(1), "token")
        assert await transport.receipts(at(2), "token")
    assert len(asked) == 1


async def test_a_core_that_is_not_there_takes_nothing() -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with httpx.AsyncClient(
        base_url="http://core", transport=httpx.MockTransport(fail)
    ) as http:
        transport = Transport(http, lambda: DeviceReport("till-1", "live", 0))
        assert not await transport.receipts(at(1), "token")


async def test_a_guest_and_a_client_without_a_name_say_nothing() -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    async with httpx.AsyncClient(
        base_url="http://core", transport=httpx.MockTransport(fail)
    ) as http:
        guest = Checkpoint("E1", {"table:12/5": 1})
        assert await Transport(http, lambda: DeviceReport("t", "live", 0)).receipts(guest, "token")
        assert await Transport(http).receipts(at(1), "token")
