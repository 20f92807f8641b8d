"""`yabam events` as a process: its start, its signals, its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from deploy.local.broker import EmbeddedBroker
from deploy.processes.ports import free_port
from tests.children import child
from tests.integration.event_server.conftest import SECRET, Stream, reason
from tests.integration.event_server.relay import relay_to
from tests.unit.event_server.parts import KEYS, make_ticket


@asynccontextmanager
async def process(
    bootstrap: str, topic: str, port: int, *, arguments: Sequence[str] = (), **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; killed at the end if it still runs. A wait for it in vain tells what it said."""
    environment = os.environ | {
        "YABAM_KAFKA": bootstrap,
        "YABAM_EVENTS_TOPIC": topic,
        "YABAM_EVENTS_PORT": str(port),
        "YABAM_EVENTS_FETCH_WAIT_MS": "10",
        "YABAM_EVENTS_DRAIN_S": "1",
        "YABAM_TICKET_KEYS": json.dumps({"t1": "k" * 32}),
        "YABAM_TICKET_KID": "t1",
        "YABAM_TOKEN_KEYS": json.dumps({"a1": SECRET}),
    }
    async with child(
        sys.executable, "-m", "client_sdk.cli", "events", *arguments, env=environment | more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    ) as started:  # fmt: skip
        try:
            yield started
        except TimeoutError as error:
            with suppress(ProcessLookupError):
                os.kill(started.pid, signal.SIGKILL)
            said = b"".join(await started.communicate())
            error.add_note(f"exit status {started.returncode}; it said:\n{said.decode()}")
            raise


async def ready(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_exit_is_clean(
    embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str, number: signal.Signals
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bootstrap = embedded_broker.bootstrap
    async with relay_to(bootstrap, topic) as relay, process(bootstrap, topic, port) as child:
        relay.keep_marking()
        await ready(client, url)
        await relay.publish("1", 1)
        ticket = KEYS.sign(make_ticket({"store:1": 0}, issued_at=time.time()))
        async with client.stream("GET", f"{url}/v1/stream", params={"ticket": ticket}) as response:
            stream = Stream(response)
            assert (await stream.next()).type == "hello"
            assert (await stream.next()).last_event_id == "store:1@1"
            child.send_signal(number)
            assert [reason(event) for event in await stream.rest()] == ["drain"]
        _, log = await asyncio.wait_for(child.communicate(), 5)
    assert child.returncode == 0
    facts = [json.loads(line)["event"] for line in log.decode().splitlines()]
    assert [fact for fact in facts if fact != "health_changed"][-2:] == [
        "draining",
        "events_stopped",
    ]
    assert "warm" in facts


async def test_a_taken_port_is_named_with_what_to_do(topic: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with process("127.0.0.1:9", topic, port) as child:
            _, log = await asyncio.wait_for(child.communicate(), 10)
    assert child.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken" in log.decode()
    assert "YABAM_EVENTS_PORT" in log.decode()
    assert "Traceback" not in log.decode()


async def test_a_topic_that_does_not_fit_stops_it_with_a_plain_word(
    embedded_broker: EmbeddedBroker, topic: str
) -> None:
    bootstrap = embedded_broker.bootstrap
    async with (
        relay_to(bootstrap, topic),
        process(bootstrap, topic, free_port(), YABAM_PARTITIONS="3") as child,
    ):
        _, log = await asyncio.wait_for(child.communicate(), 15)
    assert child.returncode == 2
    assert "has 4 partitions, YABAM_PARTITIONS=3" in log.decode()
    assert "Traceback" not in log.decode()


async def test_without_kafka_it_lives_and_says_so(client: httpx.AsyncClient, topic: str) -> None:
    port = free_port()
    async with process(f"127.0.0.1:{free_port()}", topic, port) as child:
        async with asyncio.timeout(15):
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{port}/readyz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        assert answer.status_code == 503
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        child.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(child.communicate(), 10)
    assert child.returncode == 0
    assert "kafka_lost" in log.decode()
    assert "Traceback" not in log.decode()
