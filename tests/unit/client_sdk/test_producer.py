"""The producer: a write is sent again with the same key until it is answered."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec
import pytest

from client_sdk import Item, OrderProducer, RefusedError, UnauthorizedError, UnreachableError
from tests.unit.client_sdk.samples import order

Step = Callable[[httpx.Request], httpx.Response]
PLACED = httpx.Response(201, content=msgspec.json.encode(order("a")))


class World:
    """Answers each request by the next step, and notes what was asked and slept."""

    def __init__(self, *steps: httpx.Response | Exception) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def producer(self, attempts: int = 3) -> OrderProducer:
        keys = iter(["key-1", "key-2"])
        return OrderProducer(
            "http://core",
            "secret",
            attempts=attempts,
            new_key=lambda: next(keys),
            transport=httpx.MockTransport(self),
            uniform=lambda _low, high: high,
            sleep=self.sleep,
        )


async def place(world: World, key: str | None = None) -> str:
    async with world.producer() as producer:
        return (await producer.place("12", [Item("Tea", 1, 100)], currency="KRW", key=key)).id


async def test_a_broken_connection_is_answered_by_the_same_write_with_the_same_key() -> None:
    world = World(httpx.ReadError("cut"), httpx.Response(503), PLACED)
    assert await place(world) == "a"
    assert {r.headers["idempotency-key"] for r in world.requests} == {"key-1"}
    assert len({r.content for r in world.requests}) == 1
    assert world.slept == [0.2, 0.4]


async def test_a_key_of_an_earlier_attempt_is_used() -> None:
    world = World(PLACED)
    await place(world, key="mine")
    assert world.requests[0].headers["idempotency-key"] == "mine"


async def test_retry_after_is_honoured() -> None:
    world = World(httpx.Response(429, headers={"retry-after": "7"}), PLACED)
    await place(world)
    assert world.slept == [7.0]


async def test_it_is_given_up_after_the_last_attempt_without_another_wait() -> None:
    world = World(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(UnreachableError, match=r"tried 3 times: refused"):
        await place(world)
    assert len(world.slept) == 2


async def test_a_refusal_is_final_and_says_why() -> None:
    body = {"type": "urn:yabam:problem:invalid", "title": "Invalid", "status": 422, "detail": "no"}
    world = World(httpx.Response(422, json=body))
    with pytest.raises(RefusedError) as caught:
        await place(world)
    assert caught.value.problem is not None
    assert len(world.requests) == 1


async def test_a_token_that_does_not_hold_is_told_apart() -> None:
    with pytest.raises(UnauthorizedError):
        await place(World(httpx.Response(401)))


async def test_a_version_that_is_expected_goes_along() -> None:
    world = World(httpx.Response(200, content=msgspec.json.encode(order("a", 3))))
    async with world.producer() as producer:
        await producer.transition("a", "accepted", if_version=2)
    assert world.requests[0].headers["if-match"] == '"2"'
