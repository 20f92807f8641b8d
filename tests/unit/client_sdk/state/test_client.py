"""`YabamClient` against a Core behind HTTP: what a program sees, and what goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from client_sdk import (
    ChannelError,
    ClientError,
    ClosedError,
    MemoryState,
    OrderClient,
    OrderEvent,
    Settings,
    SharedDocument,
    StateError,
    YabamClient,
)
from client_sdk.shared_state import engine
from client_sdk.shared_state.sender import Sender
from tests.unit.client_sdk.samples import event
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.http_core import HttpCore, token_of

CHANNEL = "party:12/5"
FAST = Settings(backoff_first=0.01, backoff_most=0.02)


@pytest.fixture
def core() -> CoreModel:
    return CoreModel()


@pytest.fixture
def http(core: CoreModel) -> HttpCore:
    return HttpCore(core)


def client_of(http: HttpCore, *channels: str, **more: Any) -> YabamClient:
    token = more.pop("token", token_of("guest"))
    followed = list(channels) or [CHANNEL]
    return YabamClient(
        "http://core", token, followed, settings=FAST, transport=http.transport, **more
    )


async def until(document: SharedDocument, holds: Callable[[], bool]) -> None:
    """Return once it holds, looking whenever the document changes."""
    looked = asyncio.Event()
    end = document.subscribe(lambda _: looked.set())
    async with asyncio.timeout(10):
        while not holds():
            await looked.wait()
            looked.clear()
    end()


async def test_an_edit_is_shown_when_it_is_made_and_settled_after(
    http: HttpCore, core: CoreModel
) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        edit = await cart.merge({"lines": {"a": {"quantity": 1}}})
        assert cart.value == {"lines": {"a": {"quantity": 1}}}
        assert (await edit.settled()).outcome == "applied"
    assert core.value(CHANNEL, "cart") == {"lines": {"a": {"quantity": 1}}}


async def test_what_others_do_is_shown(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        await until(cart, lambda: not cart.meta.loading)
        core.write(CHANNEL, "cart", {"theirs": 1})
        await until(cart, lambda: cart.value == {"theirs": 1})
        assert cart.version == 1


async def test_orders_and_documents_come_by_one_client(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http, "store:12", CHANNEL) as client:
        changes = client.events()
        reset = await anext(changes)
        core.write(CHANNEL, "cart", {"a": 1})
        http.orders["store:12"] = [_wire(event(1))]
        change = await anext(changes)
        cart = client.state(CHANNEL)["cart"]
        await until(cart, lambda: cart.value == {"a": 1})
        await changes.aclose()
    assert reset.type == "reset"
    assert isinstance(change, OrderEvent)


def test_a_client_of_orders_follows_no_documents() -> None:
    with pytest.raises(ChannelError, match="YabamClient"):
        OrderClient("http://core", "t", [CHANNEL])


async def test_edits_made_while_core_is_away_are_settled_when_it_is_back(
    http: HttpCore, core: CoreModel
) -> None:
    http.away = True
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        edits = [await cart.add({"/count": 1}) for _ in range(3)]
        assert (cart.value, cart.pending, client.state.waiting) == ({"count": 3}, 3, 3)
        http.away = False
        for edit in edits:
            await edit.settled()
        await until(cart, lambda: cart.pending == 0)
        assert cart.value == {"count": 3}


async def test_edits_outlive_the_client(http: HttpCore, core: CoreModel) -> None:
    store = MemoryState()
    http.away = True
    async with client_of(http, state=store) as client:
        await client.state(CHANNEL)["cart"].set({"a": 1})
    http.away = False
    async with client_of(http, state=store) as client:
        cart = client.state(CHANNEL)["cart"]
        assert (cart.value, cart.pending) == ({"a": 1}, 1)
        await until(cart, lambda: cart.pending == 0)
    assert core.value(CHANNEL, "cart") == {"a": 1}


async def test_an_edit_whose_answer_was_lost_is_settled_once(
    http: HttpCore, core: CoreModel
) -> None:
    http.lose_answers = 2
    async with client_of(http) as client:
        edit = await client.state(CHANNEL)["cart"].add({"/count": 1})
        assert (await edit.settled()).repeated
    assert core.value(CHANNEL, "cart") == {"count": 1}


async def test_a_busy_core_is_asked_again(http: HttpCore) -> None:
    http.answers = [httpx.Response(503), httpx.Response(429), httpx.Response(500)]
    async with client_of(http) as client:
        edit = await client.state(CHANNEL)["cart"].set({"a": 1})
        assert (await edit.settled()).outcome == "applied"


async def test_a_refused_token_is_replaced(http: HttpCore) -> None:
    tokens = [token_of("guest"), token_of("guest", "table")]
    given: list[str] = []

    def token() -> str:
        given.append(tokens[len(given) % 2])
        return given[-1]

    http.answers = [httpx.Response(401)]
    async with client_of(http, token=token) as client:
        edit = await client.state(CHANNEL)["cart"].set({"a": 1})
        assert (await edit.settled()).outcome == "applied"


async def test_edits_are_never_sent_by_another_subjects_token(http: HttpCore) -> None:
    till = {"token": token_of("first")}
    looked = asyncio.Event()
    foreign = Sender._is_own

    def is_own(self: Sender, token: str) -> bool:
        looked.set()
        return foreign(self, token)

    async with client_of(http, token=lambda: till["token"]) as client:
        cart = client.state(CHANNEL)["cart"]
        await (await cart.set({"a": 1})).settled()
        # Somebody else has signed in, and the old token is refused.
        till["token"] = token_of("second")
        http.answers = [httpx.Response(401)]
        await cart.merge({"b": 1})
        with patch.object(Sender, "_is_own", is_own):
            for _ in range(3):  # the first token, and twice the second
                looked.clear()
                await asyncio.wait_for(looked.wait(), 10)
        assert set(http.tokens) == {token_of("first")}
        assert "another subject" in (client.state.sending_error or "")
        assert cart.pending >= 1


async def test_a_batch_is_one_request_and_one_call(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http) as client:
        cart, bell = client.state(CHANNEL)["cart"], client.state(CHANNEL)["bell"]
        await until(cart, lambda: not cart.meta.loading)
        calls: list[tuple[Any, Any]] = []
        client.state.subscribe([cart, bell], lambda: calls.append((cart.value, bell.value)))
        async with client.state.batch():
            await cart.set({"a": 1})
            edit = await bell.set({"b": 1})
            assert cart.value is None
        await edit.settled()
    assert calls[0] == ({"a": 1}, {"b": 1})
    assert [len(batch.edits) for batch in core.requests] == [2]


async def test_what_fails_in_a_batch_leaves_nothing_behind(http: HttpCore) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        batch = client.state.batch()
        await batch.__aenter__()
        edit = await cart.set({"a": 1})
        await batch.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
        assert cart.value is None
        with pytest.raises(ClientError):
            await edit.settled()


async def test_a_function_makes_the_value_of_what_the_batch_has_so_far(http: HttpCore) -> None:
    def count(value: dict[str, Any] | None) -> dict[str, Any]:
        return {"count": (value or {"count": 0})["count"] + 1}

    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        async with client.state.batch():
            await cart.set(count)
            await cart.set(count)
        assert cart.value == {"count": 2}


async def test_an_observer_of_a_part_is_called_only_when_that_has_changed(
    http: HttpCore, core: CoreModel
) -> None:
    core.write(CHANNEL, "cart", {"lines": {}, "note": "x"})
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        await until(cart, lambda: cart.version == 1)
        calls: list[Any] = []
        cart.subscribe(lambda one: calls.append((one.value or {})["lines"]), path="/lines")
        await (await cart.merge({"note": "y"})).settled()
        await until(cart, lambda: cart.pending == 0)
        await (await cart.merge({"lines": {"a": 1}})).settled()
        await until(cart, lambda: cart.pending == 0)
    assert calls == [{"a": 1}]


async def test_who_watches_a_channel_is_told_of_a_document_that_is_new_there(
    http: HttpCore, core: CoreModel
) -> None:
    async with client_of(http) as client:
        seen: asyncio.Queue[list[str]] = asyncio.Queue()
        channel = client.state(CHANNEL)
        end = channel.subscribe(lambda: seen.put_nowait(channel.keys))
        core.write(CHANNEL, "cart", {"a": 1})
        while "cart" not in await asyncio.wait_for(seen.get(), 10):
            pass
        end()
        await (await channel["cart"].merge({"a": 2})).settled()
        assert seen.empty()


async def test_an_observer_that_raises_keeps_none_from_its_call(http: HttpCore) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        called = asyncio.Event()
        cart.subscribe(lambda _: 1 / 0)  # type: ignore[arg-type]
        cart.subscribe(lambda _: called.set())
        await cart.set({"a": 1})
        await asyncio.wait_for(called.wait(), 10)
        assert "ZeroDivisionError" in (client.state.last_error or "")


async def test_a_resolver_decides_and_its_value_goes_out(http: HttpCore, core: CoreModel) -> None:
    def both(key: str, base: Any, current: Any, own: Any) -> Any:
        assert (key, base) == ("ask", {"base": 1})
        return {**current, **own}

    core.write(CHANNEL, "ask", {"base": 1})
    async with client_of(http, resolvers={"ask": both}) as client:
        menu = client.state(CHANNEL)["ask"]
        await until(menu, lambda: menu.version == 1)
        http.away = True
        await menu.merge({"own": 1})
        core.write(CHANNEL, "ask", {"base": 1, "theirs": 1})
        http.away = False
        await until(menu, lambda: menu.version == 3 and menu.pending == 0)
        assert menu.value == {"base": 1, "theirs": 1, "own": 1}
        assert menu.meta.conflict is None


async def test_a_conflict_without_a_resolver_waits_for_a_person(
    http: HttpCore, core: CoreModel
) -> None:
    core.write(CHANNEL, "ask", {"a": 1})
    async with client_of(http) as client:
        menu = client.state(CHANNEL)["ask"]
        await until(menu, lambda: menu.version == 1)
        http.away = True
        edit = await menu.set({"a": 2})
        core.write(CHANNEL, "ask", {"a": 3})
        http.away = False
        await edit.settled()
        assert menu.meta.conflict is not None
        await (await menu.resolve({"a": 4})).settled()
        assert core.value(CHANNEL, "ask") == {"a": 4}
        with pytest.raises(ClientError, match="no conflict"):
            await menu.resolve({"a": 5})
        with pytest.raises(ClientError):
            menu.discard()


async def test_a_snapshot_is_restored_by_edits(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http) as client:
        cart, bell = client.state(CHANNEL)["cart"], client.state(CHANNEL)["bell"]
        await cart.set({"a": 1})
        await bell.set({"b": 1})
        snapshot = client.state.export()
        await cart.set({"a": 2})
        edits = await client.state.restore(snapshot)
        for edit in edits:
            await edit.settled()
    assert snapshot == {CHANNEL: {"cart": {"a": 1}, "bell": {"b": 1}}}
    assert len(edits) == 1
    assert core.value(CHANNEL, "cart") == {"a": 1}


async def test_private_documents_never_leave_the_device_and_are_kept(http: HttpCore) -> None:
    store = MemoryState()
    async with client_of(http, state=store) as client:
        await client.state("private")["filter"].set({"open": True})
        await client.state("session")["note"].set({"text": "x"})
        called: list[Any] = []
        client.state("private")["filter"].subscribe(lambda one: called.append(one.value))
        await (await client.state("private")["filter"].merge({"open": False})).settled()
        await asyncio.sleep(0)
    async with client_of(http, state=store) as client:
        assert client.state("private")["filter"].value == {"open": False}
        assert client.state("session")["note"].value is None
    assert called == [{"open": False}]
    assert http.tokens == []


async def test_a_channel_that_is_not_followed_has_no_documents_here(http: HttpCore) -> None:
    async with client_of(http) as client:
        with pytest.raises(StateError, match="follows"):
            client.state("public:12")


async def test_documents_that_differ_are_healed_by_a_snapshot(
    http: HttpCore, core: CoreModel
) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    async with client_of(http) as client:
        cart, bell = client.state(CHANNEL)["cart"], client.state(CHANNEL)["bell"]
        await until(cart, lambda: cart.version == 1)
        # Another program went past Core: no event tells of it.
        core.state.values[CHANNEL, "cart"][1] = {"a": 2}
        core.write(CHANNEL, "bell", {"b": 1})
        await until(bell, lambda: bell.version == 1)
        await until(cart, lambda: cart.value == {"a": 2})
        assert (cart.version, bell.value) == (1, {"b": 1})


async def test_a_value_that_cannot_be_had_holds_up_no_other(
    http: HttpCore, core: CoreModel
) -> None:
    core.large, large = 100, {"text": "x" * 200}
    for key in ("a", "b", "c", "d"):
        core.write(CHANNEL, key, large)
    http.damaged = {"a", "c"}
    async with client_of(http) as client:
        documents = client.state(CHANNEL)
        for key in ("b", "d"):
            await until(documents[key], lambda key=key: documents[key].value == large)  # type: ignore[misc]
        assert documents["a"].meta.loading
        http.damaged = set()
        await until(documents["a"], lambda: documents["a"].value == large)


async def test_another_log_gets_what_it_has_not_settled(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
        await (await cart.add({"/a": 1})).settled()
        await until(cart, lambda: cart.pending == 0)
        core.back_up()
        http.away = True
        edit = await cart.add({"/b": 1})
        core.restore()
        http.away = False
        await edit.settled()
        await until(cart, lambda: cart.pending == 0)
        assert cart.value == {"a": 1, "b": 1}
    assert core.value(CHANNEL, "cart") == {"a": 1, "b": 1}


async def test_an_edit_of_a_closed_client_is_refused(http: HttpCore) -> None:
    async with client_of(http) as client:
        cart = client.state(CHANNEL)["cart"]
    with pytest.raises(ClosedError):
        await cart.set({})


def _wire(one: OrderEvent) -> dict[str, Any]:
    import msgspec

    told: dict[str, Any] = msgspec.to_builtins(one)
    return told


# ── sessions ─────────────────────────────────────────────────────────────────


async def test_a_sessions_document_has_the_clients_id(http: HttpCore, core: CoreModel) -> None:
    async with client_of(http, new_client=lambda: "c1") as client:
        seat = client.state(CHANNEL).session("seat")
        await (await seat.set({"at": 1})).settled()
        assert (seat.key, client.state(CHANNEL)["seat.c1"].value) == ("seat.c1", {"at": 1})
    assert core.value(CHANNEL, "seat.c1") == {"at": 1}


async def test_a_session_is_renewed_while_the_client_is_open(
    http: HttpCore, core: CoreModel
) -> None:
    asked = asyncio.Event()
    settled = core.settled

    def heard(client: str) -> int:
        asked.set()
        return settled(client)

    core.write(CHANNEL, "seat.c1", {"at": 1})
    with patch.object(core, "settled", heard), patch.object(engine, "RENEW_EVERY_S", 0.01):
        async with client_of(http, new_client=lambda: "c1") as client:
            cart = client.state(CHANNEL)["cart"]
            await until(cart, lambda: not cart.meta.loading)
            async with asyncio.timeout(20):
                await asked.wait()
                asked.clear()
                await asked.wait()


async def test_who_has_no_session_asks_nothing(http: HttpCore, core: CoreModel) -> None:
    core.write(CHANNEL, "seat.c2", {"at": 1})
    asked: list[str] = []
    with (
        patch.object(core, "settled", asked.append),
        patch.object(engine, "RENEW_EVERY_S", 0.0),
    ):
        async with client_of(http, new_client=lambda: "c1") as client:
            edit = await client.state(CHANNEL)["cart"].set({"n": 1})
            await edit.settled()
    assert asked == []
