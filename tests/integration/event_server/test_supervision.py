"""Each background task is killed from inside: it starts again, and the server says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import event_server.main
from event_server.http.access import OpsTokens
from event_server.main import HTTP, EventServer, build, serve, ticket_keys
from event_server.metrics import SOURCE, TIMER
from event_server.settings import EventSettings
from event_server.streams.registry import Streams
from server_common.errors import SettingsError
from server_common.short_tasks import CancelledInsideError
from server_common.sockets import bind
from tests.integration.event_server.conftest import SECRET, Start, following


class KilledError(Exception):
    """What nobody foresaw."""


async def restarted(server: EventServer, task: str) -> None:
    async with asyncio.timeout(30):
        while not server.metrics.restarts[task]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_the_timer_that_fails_starts_again_and_no_stream_ends(
    start: Start, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = await start(events_degraded_after_s=60.0, events_heartbeat_s=1.0)
    turn, failures = Streams.turn, iter([KilledError("the timer")])

    def fail_once(streams: Streams, now: float) -> None:
        if streams is me.server.streams:  # a fuzzed server may run in a thread of this process
            for failure in failures:
                raise failure
        turn(streams, now)

    async with following(client, me, me.ticket({"store:1": 0})) as stream:
        await stream.next()
        monkeypatch.setattr(Streams, "turn", fail_once)
        await restarted(me.server, TIMER)
        answer = await client.get(f"{me.url}/readyz")
        assert answer.status_code == 503
        assert "task timer fails: KilledError: the timer" in answer.json()["detail"]
        metrics = me.server.metrics.exposition().decode()
        assert 'yabam_events_task_restarts_total{task="timer"} 1.0' in metrics
        me.publish("store:1@1")
        assert await stream.ids(1) == ["store:1@1"]
        assert (await stream.next(skip_heartbeats=False)).type == "heartbeat"


def a_server() -> EventServer:
    settings = EventSettings.model_validate(
        {
            "ticket_keys": {"t1": "k" * 32},
            "ticket_kid": "t1",
            "token_keys": {"a1": SECRET},
            "partitions": 1,
        }
    )
    return build(settings, ticket_keys(settings), OpsTokens(settings.token_keys, lambda: 0.0))


async def test_the_source_that_fails_starts_again() -> None:
    server = a_server()
    runs = 0
    works = asyncio.Event()

    async def source() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise KilledError("the source")
        works.set()
        await asyncio.Event().wait()

    serving = asyncio.create_task(serve(server, [bind("127.0.0.1", 0, "any")], source))
    await works.wait()
    assert server.metrics.restarts == {SOURCE: 1}
    assert server.streams.health.trouble() == (
        "the background task source fails: KilledError: the source"
    )
    server.http.stop()
    server.http.stop()
    await serving


async def test_settings_that_never_fitted_stop_the_process() -> None:
    async def source() -> None:
        raise SettingsError("the topic has 3 partitions")

    with pytest.raises(SettingsError, match="3 partitions"):
        await serve(a_server(), [bind("127.0.0.1", 0, "any")], source)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda waited: waited.set_exception(KilledError("the port")), KilledError),
        (lambda waited: waited.cancel(), CancelledInsideError),
    ],
    ids=["fails", "is cancelled"],
)
async def test_a_port_that_is_served_no_more_stops_the_process_with_the_error(
    end: Callable[[asyncio.Future[Any]], object], told: type[Exception]
) -> None:
    """Nobody could be told by `/readyz`, so whoever started the process must see that it ended."""
    server, source_ended = a_server(), asyncio.Event()

    async def source() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            source_ended.set()

    serving = asyncio.create_task(serve(server, [bind("127.0.0.1", 0, "any")], source))
    async with asyncio.timeout(30):
        while not server.http.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        (http,) = [task for task in asyncio.all_tasks() if task.get_name() == HTTP]
        while (waited := getattr(http, "_fut_waiter", None)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        end(waited)
        with pytest.raises(told):
            await serving
    assert http.done()
    assert source_ended.is_set(), "its other tasks have ended with it"


async def test_a_drain_that_fails_still_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    server = a_server()
    works = asyncio.Event()

    def fail(_streams: Streams, _over_s: float) -> None:
        raise KilledError("the drain")

    async def source() -> None:
        works.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(event_server.main, "_drain", fail)
    serving = asyncio.create_task(serve(server, [bind("127.0.0.1", 0, "any")], source))
    await works.wait()
    while not server.http.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    server.http.stop()
    await serving
    assert server.http.should_exit
