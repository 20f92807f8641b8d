"""The small HTTP side of relay and ingest goes on, whatever fails in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError
from core_api.http.probes import refusal_by
from server_common.ops.server import TASK, OpsServer, _Quiet, ops_app
from server_common.sockets import bind
from server_common.supervision import Supervisor


def nobody(_token: str) -> Caller:
    raise UnauthorizedError("no such token")


def a_server(listener: socket.socket, restarted: Callable[[str], None]) -> OpsServer:
    app = ops_app(CollectorRegistry(), refusal_by(nobody), lambda: True, lambda: None)
    return OpsServer(app, listener, None, Supervisor(restarted))


def its_task() -> asyncio.Task[None]:
    (task,) = [one for one in asyncio.all_tasks() if one.get_name() == TASK]
    return task


async def test_a_server_that_is_killed_from_inside_goes_on_says_so_and_can_be_stopped() -> None:
    listener = bind("127.0.0.1", 0, "none")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
    restarts: list[str] = []
    server = a_server(listener, restarts.append)
    with capture_logs() as logs:
        server.start()
        async with httpx.AsyncClient() as client, asyncio.timeout(20):
            assert (await client.get(url)).status_code == 200
            while not logs:
                # Its loop sleeps a little from turn to turn.
                waits_for = its_task()._fut_waiter  # type: ignore[attr-defined]
                if waits_for is not None and not waits_for.done():
                    waits_for.set_exception(ZeroDivisionError("a bug"))
                await asyncio.sleep(0)
            assert (await client.get(url)).status_code == 200
            await server.stop()
    assert [line["event"] for line in logs] == ["ops_server_failed"]
    assert restarts == []
    assert listener.fileno() == -1


@pytest.mark.parametrize("error", [OSError("no more files"), asyncio.CancelledError()])
@pytest.mark.parametrize("part", ["startup", "main_loop"])
async def test_a_server_that_ends_is_started_again_on_its_port(
    part: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = bind("127.0.0.1", 0, "none")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
    restarts: list[str] = []
    works, faults = getattr(uvicorn.Server, part), [error]

    async def fails_once(self: uvicorn.Server, *given: object, **named: object) -> None:
        if faults:
            raise faults.pop()
        await works(self, *given, **named)

    monkeypatch.setattr(_Quiet, part, fails_once)
    server = a_server(listener, restarts.append)
    server.start()
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        assert (await answer_at_last(client, url)).status_code == 200
        assert restarts == [TASK]
        await server.stop()
    assert listener.fileno() == -1


async def answer_at_last(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """The answer once somebody listens again."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            return await client.get(url)
        await asyncio.sleep(0.01)


async def test_a_server_that_waits_to_be_started_again_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(_self: uvicorn.Server, *_given: object, **_named: object) -> None:
        raise OSError("no more files")

    monkeypatch.setattr(_Quiet, "startup", fails)
    listener = bind("127.0.0.1", 0, "none")
    failed = asyncio.Event()
    server = a_server(listener, lambda _name: failed.set())
    server.start()
    async with asyncio.timeout(20):
        await failed.wait()
        await server.stop()
    assert listener.fileno() == -1


async def test_a_refusal_is_the_problem_that_every_other_server_answers() -> None:
    app = ops_app(CollectorRegistry(), refusal_by(nobody), lambda: True, lambda: "no Kafka")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
        without = await client.get("/metrics")
        unready = await client.get("/readyz")
    assert without.headers["www-authenticate"] == 'Bearer realm="yabam"'
    assert unready.status_code == 503
    for answer in (without, unready):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
