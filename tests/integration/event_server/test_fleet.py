"""Several event servers: workers on one port, and nodes that share out the partitions."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from client_sdk.contract.channel import parse_channel
from deploy.local.broker import EmbeddedBroker
from deploy.processes.ports import free_port, free_ports
from server_common.kafka_records.events import partition_of
from server_common.stream_placement import StreamNodes
from tests.integration.event_server.conftest import Stream, ops_token
from tests.integration.event_server.relay import PARTITIONS, Relay, relay_to
from tests.integration.event_server.test_process import process, ready
from tests.unit.event_server.parts import KEYS, make_ticket

WORKERS = 3


@asynccontextmanager
async def stream_of(url: str, channel: str, seq: int = 0) -> AsyncIterator[Stream]:
    """A stream on a connection of its own, so that the kernel picks a worker anew."""
    ticket = KEYS.sign(make_ticket({channel: seq}, issued_at=time.time()))
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/v1/stream", params={"ticket": ticket}) as response,
    ):
        assert response.status_code == 200, await response.aread()
        yield Stream(response)


async def open_streams(client: httpx.AsyncClient, port: int) -> int:
    answer = await client.get(
        f"http://127.0.0.1:{port}/metrics", headers={"authorization": f"Bearer {ops_token()}"}
    )
    assert answer.status_code == 200, answer.text
    (line,) = [
        line
        for line in answer.text.splitlines()
        if line.startswith("yabam_events_streams_open_count ")
    ]
    return int(float(line.split()[1]))


class TestWorkers:
    async def test_they_share_the_port_and_each_hands_out_every_event(
        self, embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str
    ) -> None:
        bootstrap, port, own = embedded_broker.bootstrap, free_port(), free_ports(WORKERS)
        url = f"http://127.0.0.1:{port}"
        async with (
            relay_to(bootstrap, topic) as relay,
            process(
                bootstrap,
                topic,
                port,
                arguments=["--workers", str(WORKERS)],
                YABAM_EVENTS_WORKER_PORT=str(own.start),
            ),
            AsyncExitStack() as stack,
        ):
            relay.keep_marking()
            for number in own:
                await ready(client, f"http://127.0.0.1:{number}")
            streams = [
                await stack.enter_async_context(stream_of(url, "store:1")) for _ in range(30)
            ]
            for stream in streams:
                assert (await stream.next()).type == "hello"
            served = [await open_streams(client, number) for number in own]
            assert sum(served) == 30
            assert sum(1 for count in served if count) > 1
            await relay.publish("1", 1)
            for stream in streams:
                assert await stream.ids(1) == ["store:1@1"]

    async def test_one_that_is_killed_is_started_anew_and_the_others_go_on(
        self, embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str
    ) -> None:
        bootstrap, port, own = embedded_broker.bootstrap, free_port(), free_ports(2)
        async with (
            relay_to(bootstrap, topic) as relay,
            process(
                bootstrap,
                topic,
                port,
                arguments=["--workers", "2"],
                YABAM_EVENTS_WORKER_PORT=str(own.start),
            ) as parent,
        ):
            relay.keep_marking()
            for number in own:
                await ready(client, f"http://127.0.0.1:{number}")
            victim = children_of(parent.pid)[0]
            os.kill(victim, signal.SIGKILL)
            async with asyncio.timeout(20):
                while len(fresh := set(children_of(parent.pid)) - {victim}) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert victim not in fresh
            for number in own:
                await ready(client, f"http://127.0.0.1:{number}")
            parent.send_signal(signal.SIGTERM)
            await asyncio.wait_for(parent.communicate(), 15)
        assert parent.returncode == 0

    async def test_they_end_with_their_parent_even_if_it_is_killed(
        self, embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str
    ) -> None:
        bootstrap, port = embedded_broker.bootstrap, free_port()
        async with (
            relay_to(bootstrap, topic) as relay,
            process(bootstrap, topic, port, arguments=["--workers", "2"]) as parent,
        ):
            relay.keep_marking()
            await ready(client, f"http://127.0.0.1:{port}")
            orphans = children_of(parent.pid)
            assert len(orphans) == 2
            parent.kill()
            async with asyncio.timeout(20):
                while any(is_running(pid) for pid in orphans):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def test_a_wrong_setting_ends_them_all_with_a_plain_word(self, topic: str) -> None:
        async with process(
            "127.0.0.1:9", topic, free_port(), arguments=["--workers", "0"]
        ) as child:
            _, log = await asyncio.wait_for(child.communicate(), 10)
        assert child.returncode == 2
        assert "give a number from 1 to 256" in log.decode()


class TestSharedOutPartitions:
    """Three nodes, each with its share of the partitions."""

    @pytest.fixture
    async def nodes(
        self, embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str
    ) -> AsyncIterator[tuple[Relay, dict[str, list[int]]]]:
        bootstrap = embedded_broker.bootstrap
        ports = [free_port() for _ in range(3)]
        shares = [[0], [1], [2, 3]]
        fleet = {
            f"http://127.0.0.1:{port}/v1/stream": share
            for port, share in zip(ports, shares, strict=True)
        }
        async with relay_to(bootstrap, topic) as relay, AsyncExitStack() as stack:
            for port, share in zip(ports, shares, strict=True):
                await stack.enter_async_context(
                    process(
                        bootstrap,
                        topic,
                        port,
                        YABAM_EVENTS_PARTITIONS=json.dumps(share),
                        YABAM_STREAM_NODES=json.dumps(fleet),
                    )
                )
            relay.keep_marking()
            for port in ports:
                await ready(client, f"http://127.0.0.1:{port}")
            yield relay, fleet

    async def test_each_store_is_served_by_its_node_and_by_no_other(
        self, client: httpx.AsyncClient, nodes: tuple[Relay, dict[str, list[int]]]
    ) -> None:
        relay, fleet = nodes
        directory = StreamNodes(fleet, PARTITIONS, lambda urls: urls[0])
        served: Counter[str] = Counter()
        for store in map(str, range(1, 13)):
            channel = f"store:{store}"
            right = directory.url_for([parse_channel(channel)])
            assert right is not None
            served[right] += 1
            ticket = KEYS.sign(make_ticket({channel: 0}, issued_at=time.time()))
            for url in fleet:
                if url == right:
                    continue
                answer = await client.get(url, params={"ticket": ticket})
                assert answer.status_code == 421
                assert answer.json()["url"] == right
            async with stream_of(right.removesuffix("/v1/stream"), channel) as stream:
                assert (await stream.next()).type == "hello"
                await relay.publish(store, 1)
                assert await stream.ids(1) == [f"{channel}@1"]
        assert len(served) == 3
        assert {partition_of(str(s), PARTITIONS) for s in range(1, 13)} == set(range(PARTITIONS))


def children_of(pid: int) -> list[int]:
    """The processes that this one has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def is_running(pid: int) -> bool:
    """Whether the process is there, and not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
