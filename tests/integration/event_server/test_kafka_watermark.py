"""When the watermark stands still, a server says so to everybody, and comes back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from client_sdk.contract.problem import decode_problem
from deploy.kafka.server import KafkaServer
from deploy.processes.ports import free_port
from tests.integration.event_server.conftest import Stream, ops_token, reason
from tests.integration.event_server.relay import Relay, relay_to
from tests.integration.event_server.test_process import process, ready
from tests.unit.event_server.parts import KEYS, make_ticket

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

DEGRADED_AFTER_S = 2.0
REFUSED = "yabam_events_requests_refused_total degraded"


class Server:
    """An event server that runs as a process, asked from outside."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def status(self) -> int:
        return (await self.client.get(f"{self.url}/readyz")).status_code

    async def until(self, status: int) -> None:
        async with asyncio.timeout(30):
            while await self.status() != status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def metrics(self) -> dict[str, float]:
        headers = {"authorization": f"Bearer {ops_token()}"}
        text = (await self.client.get(f"{self.url}/metrics", headers=headers)).text
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def ticket(self) -> dict[str, str]:
        return {"ticket": KEYS.sign(make_ticket({"store:1": 0}, issued_at=time.time()))}


@pytest.fixture
async def server(
    kafka_server: KafkaServer, topic: str, client: httpx.AsyncClient
) -> AsyncIterator[tuple[Server, Relay]]:
    port = free_port()
    bootstrap = kafka_server.bootstrap
    settings = {"YABAM_EVENTS_DEGRADED_AFTER_S": str(DEGRADED_AFTER_S)}
    async with (
        relay_to(bootstrap, topic) as relay,
        process(bootstrap, topic, port, **settings) as child,
    ):
        relay.keep_marking()
        me = Server(f"http://127.0.0.1:{port}", client)
        await ready(client, me.url)
        yield me, relay
        assert child.returncode is None, "it lives through all of it"


Fault = Callable[[Relay, KafkaServer], Awaitable[None]]


async def silence(relay: Relay, _kafka: KafkaServer) -> None:
    await relay.stop_marking()


async def silence_of_one_partition(relay: Relay, _kafka: KafkaServer) -> None:
    await relay.stop_marking()
    relay.keep_marking(but=0)


async def kafka_down(_relay: Relay, kafka: KafkaServer) -> None:
    await asyncio.to_thread(kafka.kill)


async def kafka_hangs(_relay: Relay, kafka: KafkaServer) -> None:
    kafka.process.suspend()


@pytest.mark.parametrize("fault", [silence, silence_of_one_partition, kafka_down, kafka_hangs])
async def test_each_step_is_told_to_clients_balancers_and_metrics_and_all_returns(
    server: tuple[Server, Relay], kafka_server: KafkaServer, fault: Fault
) -> None:
    it, relay = server
    assert (await it.metrics())["yabam_events_ready_state"] == 1
    async with it.client.stream("GET", f"{it.url}/v1/stream", params=it.ticket()) as response:
        stream = Stream(response)
        assert (await stream.next()).type == "hello"
        await fault(relay, kafka_server)
        try:
            async with asyncio.timeout(20):
                assert [reason(event) for event in await stream.rest()] == ["degraded"]
            assert await it.status() == 503
            before = await it.metrics()
            refused = await it.client.get(f"{it.url}/v1/stream", params=it.ticket())
            seen = await it.metrics()
        finally:
            await asyncio.to_thread(_heal, kafka_server)
    problem = decode_problem(refused.content)
    assert problem is not None
    assert (refused.status_code, problem.type) == (503, "urn:yabam:problem:degraded")
    assert int(refused.headers["retry-after"]) > 0
    assert seen["yabam_events_ready_state"] == 0
    assert seen["yabam_events_streams_ended_total degraded"] == 1
    assert seen[REFUSED] == before[REFUSED] + 1
    await relay.stop_marking()
    relay.keep_marking()
    await it.until(200)
    assert (await it.metrics())["yabam_events_ready_state"] == 1
    async with it.client.stream("GET", f"{it.url}/v1/stream", params=it.ticket()) as response:
        assert (await Stream(response).next()).type == "hello"


def _heal(kafka: KafkaServer) -> None:
    kafka.process.resume()
    if not kafka.process.running:
        kafka.start()
