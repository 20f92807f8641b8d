"""The producer: a write is sent again with the same key until it is answered."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx
import msgspec
import pytest

from client_sdk import (
    ContractError,
    Item,
    OrderProducer,
    RefusedError,
    UnauthorizedError,
    UnreachableError,
    YabamError,
)
from client_sdk.client import producer as module
from client_sdk.client.producer import MAX_ANSWER_BYTES, MAX_RETRY_AFTER_S
from client_sdk.contract.problem import encode_problem, problem
from tests.unit.client_sdk.samples import order

Step = Callable[[httpx.Request], httpx.Response]
ID: Final = "01a1fc0c-7a60-77c9-ba73-87c38a9e69f5"
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
        await producer.transition(ID, "accepted", if_version=2)
    assert world.requests[0].headers["if-match"] == '"2"'


async def test_a_refusal_tells_the_order_as_it_stands() -> None:
    now = order("a", 4, "ready")
    told = problem("impossible-transition", "it is ready", order=msgspec.json.encode(now))
    with pytest.raises(RefusedError) as caught:
        await place(World(httpx.Response(409, content=encode_problem(told))))
    assert caught.value.order == now
    assert "it is ready" in str(caught.value)


async def test_an_order_in_a_refusal_that_is_none_is_none() -> None:
    for body in (b'{"id":1}', b"null", b"[" * 5000 + b"]" * 5000):
        told = problem("stale-version", "x", order=body)
        with pytest.raises(RefusedError) as caught:
            await place(World(httpx.Response(412, content=encode_problem(told))))
        assert caught.value.order is None


# ── hostile servers ──────────────────────────────────────────────────────────


class Body(httpx.AsyncByteStream):
    """A body in pieces, and how much of it was asked for."""

    def __init__(self, piece: bytes, times: int) -> None:
        self.piece, self.times, self.given = piece, times, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            self.given += len(self.piece)
            yield self.piece


async def test_an_answer_without_end_is_cut_off_and_the_write_is_sent_again() -> None:
    body = Body(b" " * (1 << 20), 10_000)
    world = World(httpx.Response(201, stream=body), PLACED)
    assert await place(world) == "a"
    assert body.given <= MAX_ANSWER_BYTES + len(body.piece)
    assert {r.headers["idempotency-key"] for r in world.requests} == {"key-1"}


async def test_an_answer_packed_by_gzip_is_read() -> None:
    packed = gzip.compress(msgspec.json.encode(order("a")))
    headers = {"content-encoding": "gzip"}
    assert await place(World(httpx.Response(201, headers=headers, stream=Body(packed, 1)))) == "a"


async def test_an_answer_that_comes_in_drops_ends_with_its_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dripping(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0)

    monkeypatch.setattr(module, "ATTEMPT_TIMEOUT_S", 0.05)
    world = World(httpx.Response(201, stream=Dripping()), PLACED)
    assert await place(world) == "a"


@pytest.mark.parametrize(
    ("headers", "slept"),
    [
        ({"retry-after": "99999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "9" * 400}, MAX_RETRY_AFTER_S),
        ({"retry-after": "²"}, 0.2),
        ({"retry-after": "٣"}, 0.2),
        ({"retry-after": "-5"}, 0.2),
        ({"retry-after": "nan"}, 0.2),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 12:00:09 GMT",
                "date": "Sat, 21 Nov 2026 12:00:00 GMT",
            },
            9.0,
        ),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 0.2),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:09 GMT"}, 0.2),
    ],
    ids=["far", "huge", "superscript", "arabic", "negative", "nan", "date", "no date", "lone date"],
)
async def test_a_retry_after_of_any_form_leads_to_a_bounded_wait(
    headers: dict[str, str], slept: float
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    world = World(httpx.Response(503, headers=raw), PLACED)
    await place(world)
    assert world.slept == [slept]


@pytest.mark.parametrize(
    "order_id",
    ["", "a", "../../v1/sync", f"{ID}/../x", f"{ID}\n", f" {ID}", ID.upper(), ID.replace("-", ""),
     f"{{{ID}}}", f"{ID}?x", f"{ID}#x", "%2e%2e", ID.replace("0", "٠"), ID + "\0"],
    ids=ascii,
)  # fmt: skip
async def test_an_order_id_that_could_lead_elsewhere_is_refused_before_it_is_sent(
    order_id: str,
) -> None:
    world = World()
    async with world.producer() as producer:
        for work in (
            producer.get(order_id),
            producer.transition(order_id, "accepted"),
            producer.change(order_id, note="x"),
        ):
            with pytest.raises(ContractError, match="not an order id"):
                await work
    assert world.requests == []


FOREIGN = [
    httpx.ReadError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x"),
    httpx.DecodingError("x"), httpx.TooManyRedirects("x"), httpx.RemoteProtocolError("x"),
    httpx.UnsupportedProtocol("x"), httpx.InvalidURL("x"), httpx.StreamClosed(),
    httpx.CookieConflict("x"), OSError("x"), ValueError("x"), OverflowError("x"),
    UnicodeError("x"), RuntimeError("x"), msgspec.DecodeError("x"),
]  # fmt: skip


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_no_foreign_error_gets_out_of_an_attempt(error: Exception) -> None:
    world = World(*[error] * 3)
    with pytest.raises(UnreachableError) as caught:
        await place(world)
    assert len(world.requests) == 3
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(201, content=b"[" * 100_000),
        httpx.Response(201, content=b'{"id":1e400}'),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
        httpx.Response(409, content=b"[" * 100_000),
        httpx.Response(401, content=b"\xff" * 1000),
        httpx.Response(499, content=b"x" * 100_000),
    ],
    ids=["empty", "bytes", "deep", "number", "redirect", "deep problem", "401", "499"],
)
async def test_no_foreign_error_comes_of_an_answer(response: httpx.Response) -> None:
    with pytest.raises(YabamError) as caught:
        await place(World(response))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "arguments",
    [
        {"note": "\ud800"}, {"note": object()}, {"key": "line\nend"}, {"key": "é"},
        {"key": "x" * 256}, {"reference": b"\xff".decode("latin-1") + "\udfff"},
    ],
    ids=["surrogate", "object", "line end", "letter", "long", "other surrogate"],
)  # fmt: skip
async def test_what_cannot_be_sent_is_told_by_an_error_of_ours(arguments: dict[str, Any]) -> None:
    world = World()
    given: dict[str, Any] = {"items": [Item("Tea", 1, 100)]} | arguments
    async with world.producer() as producer:
        with pytest.raises(ContractError):
            await producer.place("12", currency="KRW", **given)
    assert world.requests == []


@pytest.mark.parametrize(("url", "token"), [("http://x:port", "t"), ("http://core", "토큰")])
def test_a_producer_that_cannot_be_made_says_so_by_an_error_of_ours(url: str, token: str) -> None:
    with pytest.raises(ContractError):
        OrderProducer(url, token)


async def test_no_cookie_is_kept_or_sent() -> None:
    cookie = {"set-cookie": "a=" + "x" * 4000 + "; Path=/"}
    world = World(httpx.Response(503, headers=cookie), PLACED, PLACED)
    async with world.producer() as producer:
        for _ in range(2):
            await producer.place("12", [Item("Tea", 1, 100)], currency="KRW")
    assert [request.headers.get("cookie") for request in world.requests] == [None] * 3
