"""Orders through the queue of `YabamClient`, against a Core behind HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from msgspec.structs import replace

from client_sdk import (
    BlockingYabamClient,
    ClosedError,
    Item,
    MemoryState,
    Settings,
    SqliteState,
    StateError,
    StateStoreError,
    YabamClient,
)
from client_sdk.contract.problem import encode_problem, problem
from client_sdk.shared_state.sender import RetryTimer
from client_sdk.state.orders.view import ShownOrder
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.http_core import HttpCore, token_of
from tests.unit.client_sdk.state.order_core import order_id

CHANNEL = "party:1/5"
FAST = Settings(backoff_first=0.01, backoff_most=0.02)
TEA = [Item("Tea", 2, 100)]


@pytest.fixture
def core() -> CoreModel:
    return CoreModel()


@pytest.fixture
def http(core: CoreModel) -> HttpCore:
    return HttpCore(core)


@asynccontextmanager
async def open_client(
    http: HttpCore, channels: tuple[str, ...] = ("store:1", CHANNEL), **more: Any
) -> AsyncIterator[YabamClient]:
    """A client whose consumer takes every change."""
    more = {"token": token_of("till", "owner"), "settings": FAST, **more}
    token = more.pop("token")
    transport = http.transport
    async with YabamClient("http://core", token, channels, transport=transport, **more) as client:

        async def consume() -> None:
            async for _ in client.events():
                pass

        consumer = asyncio.create_task(consume())
        try:
            yield client
        finally:
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)


async def until(client: YabamClient, holds: Callable[[], bool]) -> None:
    """Return once it holds, looking whenever orders change."""
    looked = asyncio.Event()
    end = client.commands.subscribe(looked.set)
    async with asyncio.timeout(20):
        while not holds():
            await looked.wait()
            looked.clear()
    end()


async def test_a_step_is_shown_at_once_and_done_by_core(http: HttpCore) -> None:
    http.desk.placed()
    async with open_client(http) as client:
        await until(client, lambda: len(client.commands.orders) == 1)
        step = await client.commands.transition(order_id(1), "accepted")
        shown = client.commands.order(order_id(1))
        assert shown is not None
        assert (shown.order.status, shown.pending) == ("accepted", 1)
        outcome = await step.settled()
        assert outcome.outcome == "applied"
        await until(client, lambda: client.orders.get(order_id(1)).version == 2)  # type: ignore[union-attr]
        assert client.commands.waiting == 0
    assert http.desk.orders[order_id(1)].status == "accepted"


async def test_what_was_done_offline_survives_the_program_and_is_done_once_in_order(
    http: HttpCore, core: CoreModel, tmp_path: Path
) -> None:
    http.away = True
    async with open_client(http, state=SqliteState(tmp_path)) as client:
        placed = await client.commands.place("1", TEA, currency="KRW", table_id="5")
        await client.state(CHANNEL)["cart"].set({"n": 1})
        await client.commands.transition(placed.order_id, "accepted")
        await client.state(CHANNEL)["cart"].add({"/n": 1})
        shown = client.commands.order(placed.order_id)
        assert shown is not None
        assert (shown.order.status, shown.pending) == ("accepted", 2)
    http.away, http.lose_order_answers, http.lose_answers = False, 1, 1
    async with open_client(http, state=SqliteState(tmp_path)) as client:
        await until(client, lambda: client.commands.waiting == 0)
        # Behind all that waited before.
        await (await client.state(CHANNEL)["bell"].set({"rung": 1})).settled()
    assert [done.type for done in http.desk.log] == ["order.placed", "order.accepted"]
    assert core.value(CHANNEL, "cart") == {"n": 2}
    step = f"/v1/orders/{order_id(1)}/transitions"
    distinct = list(dict.fromkeys(zip(http.order_of_writes, http.order_of_writes, strict=True)))
    assert [one for one, _ in distinct] == ["/v1/orders", "/v1/edits", step]
    firsts = [http.order_of_writes.index(one) for one in ("/v1/orders", "/v1/edits", step)]
    assert firsts == sorted(firsts)
    last = len(http.order_of_writes) - 1
    assert http.order_of_writes[last] == "/v1/edits"


async def stepped_after_a_restore(http: HttpCore, epoch: str | None) -> ShownOrder | None:
    """What a client shows that steps an order of which a restore has thrown versions away."""
    http.desk.placed()
    for note in ("a", "b"):
        http.desk.do(1, {"note": note})
    async with open_client(http) as client:
        await until(client, lambda: len(client.commands.orders) == 1)
        order = http.desk.orders[order_id(1)]
        http.desk.orders[order.id] = replace(order, version=1)
        http.log_of_answers = epoch
        # The next sync would say that the order is over.
        http.syncs_fail = True
        cancelled = await client.commands.transition(order_id(1), "cancelled", reason="late")
        await cancelled.settled()
        return client.commands.order(order_id(1))


async def test_an_answer_of_a_log_that_has_not_begun_here_is_shown(http: HttpCore) -> None:
    shown = await stepped_after_a_restore(http, "zz")
    assert shown is not None
    assert (shown.order.status, shown.order.version, shown.pending) == ("cancelled", 2, 0)


@pytest.mark.parametrize("epoch", [None, "0", "no epoch at all"])
async def test_an_answer_that_does_not_name_a_later_log_is_not_newer_than_what_is_shown(
    http: HttpCore, epoch: str | None
) -> None:
    shown = await stepped_after_a_restore(http, epoch)
    assert shown is not None
    assert (shown.order.status, shown.order.version, shown.pending) == ("placed", 3, 0)


async def test_a_refused_command_is_taken_back_and_the_edit_behind_it_goes_out(
    http: HttpCore, core: CoreModel
) -> None:
    http.desk.sold_out.add("Tea")
    async with open_client(http) as client:
        placed = await client.commands.place("1", TEA, currency="KRW")
        edit = await client.state(CHANNEL)["cart"].set({"n": 1})
        outcome = await placed.settled()
        assert (await edit.settled()).outcome == "applied"
        assert outcome.problem is not None
        assert outcome.problem.slug == "sold-out"
        assert client.commands.orders == []
        error = client.commands.error(placed.order_id)
        assert error is not None
        assert error.slug == "sold-out"


async def test_a_placed_order_that_no_followed_channel_shows_leaves_with_its_answer(
    http: HttpCore,
) -> None:
    async with open_client(http, (CHANNEL,)) as client:
        placed = await client.commands.place("1", TEA, currency="KRW")
        assert len(client.commands.orders) == 1
        await placed.settled()
        assert client.commands.orders == []


async def test_a_client_of_orders_only_sends_commands_too(http: HttpCore) -> None:
    async with open_client(http, ("store:1",)) as client:
        placed = await client.commands.place("1", TEA, currency="KRW")
        assert (await placed.settled()).outcome == "applied"
        await until(client, lambda: client.orders.get(order_id(1)) is not None)
        assert [one.order.id for one in client.commands.orders] == [order_id(1)]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, content=encode_problem(problem("unavailable", ""))),
        httpx.Response(409, content=encode_problem(problem("conflict", ""))),
        httpx.Response(404, content=b"<html>a proxy's page</html>"),
        httpx.Response(200, content=b"{}"),
    ],
)
async def test_what_says_nothing_of_a_command_is_asked_again(
    http: HttpCore, answer: httpx.Response
) -> None:
    answers = [answer]
    ask = http.transport.handler

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/orders" and answers:
            return answers.pop()
        return ask(request)  # type: ignore[return-value]

    client = YabamClient(
        "http://core",
        token_of("till", "owner"),
        ["store:1"],
        settings=FAST,
        transport=httpx.MockTransport(handler),
    )
    async with client:
        placed = await client.commands.place("1", TEA, currency="KRW")
        assert (await placed.settled()).outcome == "applied"
    assert answers == []
    assert len(http.desk.log) == 1


async def test_a_command_that_cannot_be_kept_is_not_made(http: HttpCore) -> None:
    class Full(MemoryState):
        def write(self, writes: Any) -> None:
            raise StateStoreError("there is no room")

    client = YabamClient("http://core", "t", ["store:1"], state=Full(), transport=http.transport)
    http.away = True
    await client.__aenter__()
    with pytest.raises(StateStoreError):
        await client.commands.place("1", TEA, currency="KRW")
    assert client.commands.orders == []
    await client.close()


async def test_who_waits_for_an_answer_is_told_that_the_client_was_closed(http: HttpCore) -> None:
    http.away = True
    async with open_client(http) as client:
        placed = await client.commands.place("1", TEA, currency="KRW")
    with pytest.raises(ClosedError):
        await placed.settled()
    with pytest.raises(ClosedError):
        await client.commands.place("1", TEA, currency="KRW")


async def test_an_order_that_is_not_shown_cannot_be_stepped(http: HttpCore) -> None:
    async with open_client(http) as client:
        with pytest.raises(StateError, match="is not an order"):
            await client.commands.transition(order_id(9), "accepted")


async def test_commands_are_not_sent_with_another_subjects_token(http: HttpCore) -> None:
    said = asyncio.Queue[str]()
    failed = RetryTimer.failed

    def noted(retry: RetryTimer, detail: str, retry_after: float | None = None) -> None:
        said.put_nowait(detail)
        failed(retry, detail, retry_after)

    async with open_client(http, subject="owner:other") as client:
        with patch.object(RetryTimer, "failed", noted):
            await client.commands.place("1", TEA, currency="KRW")
            async with asyncio.timeout(20):
                assert "another subject" in await said.get()
    assert http.desk.log == []


def test_the_blocking_client_does_the_same(http: HttpCore) -> None:
    http.desk.placed()
    token = token_of("till", "owner")
    with BlockingYabamClient(
        "http://core", token, ["store:1"], settings=FAST, transport=http.transport
    ) as client:
        next(client.events())
        step = client.commands.transition(order_id(1), "accepted")
        assert step.settled().outcome == "applied"
        shown = client.commands.order(order_id(1))
        assert shown is not None
        assert shown.order.status == "accepted"
        change = client.commands.change(order_id(1), note="hot")
        outcome = change.settled()
        assert outcome.order is not None
        assert outcome.order.note == "hot"


def test_an_error_of_a_callback_of_the_blocking_client_is_told(http: HttpCore) -> None:
    def broken(_: object) -> None:
        raise ValueError("broken")

    with BlockingYabamClient(
        "http://core", token_of("till"), [CHANNEL], settings=FAST, transport=http.transport
    ) as client:
        client.state(CHANNEL)["cart"].subscribe(broken)
        client.state(CHANNEL)["cart"].set({"n": 1}).settled()
        # Callbacks come one after the other: behind this one, the first has been called.
        client.state._threads.callbacks.submit(lambda: None).result()
        assert "broken" in (client.state.last_error or "")
