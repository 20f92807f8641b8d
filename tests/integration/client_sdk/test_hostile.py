"""The whole client against a hostile server on a real socket: alive, and within its memory."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest

from client_sdk.transport import http_transport as transport
from tests.integration.client_sdk.scripted import Answer, Asked, Script, Wire, answering, scripted
from tests.integration.client_sdk.test_hard_cases import client_of, stored, take

MAX_BYTES = 4 << 20
# Made by the test that sends it: all workers load this module.
FOR_EACH_CODING: dict[str, Callable[[], bytes]] = {
    "gzip, gzip": lambda: gzip.compress(gzip.compress(bytes(1 << 20)) * 1024),
    "gzip": lambda: gzip.compress(bytes(256 << 20), 1),
}


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with scripted() as world:
        yield world


@pytest.mark.parametrize("coding", FOR_EACH_CODING)
async def test_an_answer_that_unpacks_to_gigabytes_costs_no_memory_and_is_got_over(
    script: Script, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_SYNC_BYTES", MAX_BYTES)
    bomb: Answer = (200, {"content-encoding": coding}, FOR_EACH_CODING[coding]())
    script.on_sync = [answering(bomb)] * 3
    await script.commit(2)
    tracemalloc.start()
    try:
        async with client_of(script, cursors=stored(0)) as client:
            assert await take(client, 2) == [1, 2]
            assert client._machine.counters.sync_failures >= 3
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * MAX_BYTES


async def test_a_stream_full_of_nonsense_does_not_end_the_client(script: Script) -> None:
    deep = b"[" * 100_000
    last = b"1" + b"0" * 400
    served: list[int] = []

    def bringing(data: bytes) -> None:
        async def serve(wire: Wire) -> None:
            wire.head()
            wire.raw(data)
            served.append(len(data))

        script.on_stream.append(serve)

    for kind in (b"hello", b"heartbeat", b"sync-required", b"bye", b"order.placed"):
        bringing(b"event: " + kind + b"\ndata: " + deep + b"\n\n")
    bringing(b'event: bye\ndata: {"reason":"timeout","reconnect_after_ms":' + last + b"}\n\n")
    async with client_of(script, cursors=stored(0)) as client:
        await script.until(lambda: len(served) == 6)
        await script.commit(1)
        assert await take(client, 1) == [1]


async def test_resets_without_end_are_not_asked_for_in_a_tight_loop(script: Script) -> None:
    body = script.answer(Asked("/v1/sync", {}, {}))[2]
    more = body.replace(b'"has_more":false', b'"has_more":true').replace(
        b'"first_sync"', b'"ahead"'
    )
    script.on_sync = [answering((200, {}, more))] * 12
    async with client_of(script, cursors=stored(5)) as client:
        await script.until(lambda: not script.on_sync)
        # One fills the book, five may begin anew, and the last one may be on its way.
        assert client._machine.counters.sync_failures >= 12 - 7
        await script.commit(1)
        assert await take(client, 1)


async def test_no_cookie_is_kept_or_sent(script: Script) -> None:
    async def with_a_cookie(asked: Asked) -> Answer:
        status, headers, body = script.answer(asked)
        return status, headers | {"set-cookie": "a=" + "x" * 4000 + "; Path=/"}, body

    script.on_sync = [with_a_cookie] * 2
    async with client_of(script, cursors=stored(0)) as client:
        await script.commit(1)
        assert await take(client, 1) == [1]
        await script.until(lambda: bool(script.streams))
    assert [one for one in [*script.syncs, *script.streams] if "cookie" in one.headers] == []
