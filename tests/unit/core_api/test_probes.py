"""The small HTTP side of relay and ingest goes on, whatever fails in it."""

from __future__ import annotations

import asyncio

import httpx
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core_api.access.callers import Caller
from core_api.errors import UnauthorizedError
from core_api.http.probes import refusal_by
from server_common.ops.server import OpsServer, ops_app
from server_common.sockets import bind


def nobody(_token: str) -> Caller:
    raise UnauthorizedError("no such token")


async def test_a_server_that_is_killed_from_inside_goes_on_says_so_and_can_be_stopped() -> None:
    listener = bind("127.0.0.1", 0, "none")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
    server = OpsServer(
        ops_app(CollectorRegistry(), refusal_by(nobody), lambda: True, lambda: None), listener
    )
    with capture_logs() as logs:
        server.start()
        async with httpx.AsyncClient() as client, asyncio.timeout(20):
            assert (await client.get(url)).status_code == 200
            while not logs:
                # Its loop sleeps a little from turn to turn.
                waits_for = server._task._fut_waiter  # type: ignore[union-attr]
                if waits_for is not None and not waits_for.done():
                    waits_for.set_exception(ZeroDivisionError("a bug"))
                await asyncio.sleep(0)
            assert (await client.get(url)).status_code == 200
            await server.stop()
    assert [line["event"] for line in logs] == ["ops_server_failed"]
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
