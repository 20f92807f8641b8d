"""One client follows orders and documents of every reach on one stream, through the whole system.

Two event servers share out the partitions; the documents of the brand and of all reach both.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest

from client_sdk import Item, OrderProducer
from client_sdk.contract.sse import SseEvent, SseParser
from core_api.access.callers import Caller
from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Keys, Stack, free_ports
from deploy.processes.ports import free_port
from server_common.kafka_records.events import partition_of
from tests.end_to_end.conftest import create_database
from tests.end_to_end.editing import Editors, guest, sign
from tests.forked import FORKED

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

PARTITIONS: Final = 4
KEYS: Final = Keys("t" * 32, "k" * 32)
STORES: Final = [
    next(str(n) for n in range(100) if partition_of(str(n), PARTITIONS) == partition)
    for partition in (0, 3)
]
"""A store of each of the two event servers."""
ROUNDS: Final = 5
SOON_S: Final = 60.0


@pytest.fixture(scope="module")
def fleet(
    postgres: EmbeddedPostgres, kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Everything, with two event servers."""
    ports, second, name = free_ports(), free_port(), uuid.uuid4().hex[:12]
    shares = {ports.events: [0, 1], second: [2, 3]}
    nodes = {f"http://127.0.0.1:{port}/v1/stream": share for port, share in shares.items()}
    extra = {
        "YABAM_STREAM_NODES": json.dumps(nodes),
        "YABAM_EVENTS_TOPIC": f"order-events-{name}",
        "YABAM_INBOUND_TOPIC": f"orders.inbound-{name}",
        "YABAM_DEVICES_INBOUND_TOPIC": f"devices.inbound-{name}",
        "YABAM_INBOUND_DLQ_TOPIC": f"orders.inbound.dlq-{name}",
    }
    own = {
        process: {"YABAM_EVENTS_PARTITIONS": json.dumps(share)}
        for process, share in zip(("events", "events-2"), shares.values(), strict=True)
    }
    addresses = replace(Addresses(create_database(postgres), kafka.bootstrap), ports=ports)
    stack = Stack(addresses, KEYS, tmp_path_factory.mktemp("fleet"), extra, own, starter=FORKED)
    stack.add("events", second)
    try:
        stack.start()
        yield stack
    finally:
        stack.kill()


async def synced(http: httpx.AsyncClient, core: str, token: str, channels: list[str]) -> Any:
    """What Fetch Sync says of these channels to a client that has nothing."""
    answer = await http.get(
        f"{core}/v1/sync",
        params=[("channel", channel) for channel in channels],
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def events_until(response: httpx.Response, heads: dict[str, int]) -> list[SseEvent]:
    """What the stream brings until each channel has reached its head."""
    parser, seen = SseParser(), list[SseEvent]()
    wanted = {f"{channel}@{head}" for channel, head in heads.items()}
    async for chunk in response.aiter_raw():
        seen += parser.feed(chunk)
        if wanted <= {event.last_event_id for event in seen}:
            break
    return [event for event in seen if event.type.startswith(("order.", "document."))]


@pytest.mark.parametrize("store", STORES)
async def test_table_party_store_brand_and_all_come_on_one_stream_of_the_stores_node(
    fleet: Stack, store: str
) -> None:
    core, editors = fleet.core_url, Editors(fleet.core_url, KEYS, store, ["5"])
    token = sign(KEYS, guest(store, "5", editors.brand))
    channels = [
        f"table:{store}/5", f"party:{store}/5", f"public:{store}",
        f"brand:{editors.brand}", "global",
    ]  # fmt: skip
    async with httpx.AsyncClient(timeout=30) as http:
        before = await synced(http, core, token, channels)
        at = {one["channel"]: one["head"] for one in before["channels"]}
        stream = before["stream"]
        async with http.stream(
            "GET", stream["url"], params={"ticket": stream["ticket"]}
        ) as response:
            assert response.status_code == 200, await response.aread()
            owner = sign(KEYS, Caller("till", "owner", frozenset({store})))
            async with OrderProducer(core, owner) as producer:
                for n in range(1, ROUNDS + 1):
                    await producer.place(store, [Item("Tea", 1, 250)], currency="KRW", table_id="5")
                    await editors.round(http, n)
            after = await synced(http, core, token, channels)
            heads = {one["channel"]: one["head"] for one in after["channels"]}
            heads.pop("global")
            async with asyncio.timeout(SOON_S):
                seen = await events_until(response, heads)
    for channel, head in heads.items():
        run = [e.last_event_id for e in seen if e.last_event_id.startswith(f"{channel}@")]
        assert run == [f"{channel}@{seq}" for seq in range(at[channel] + 1, head + 1)]
        assert head >= ROUNDS


async def test_a_notice_reaches_the_streams_of_every_node(fleet: Stack) -> None:
    ops = sign(KEYS, Caller("ops", "ops"))
    editors = Editors(fleet.core_url, KEYS, "1", [])
    nodes = json.loads(fleet.environment["YABAM_STREAM_NODES"])
    async with httpx.AsyncClient(timeout=30) as http:
        await editors.notice(http, 1)
        for n, url in enumerate(nodes, 2):
            ticket = (await synced(http, fleet.core_url, ops, ["global"]))["stream"]["ticket"]
            async with http.stream("GET", url, params={"ticket": ticket}) as response:
                assert response.status_code == 200, await response.aread()
                await editors.notice(http, n)
                async with asyncio.timeout(SOON_S):
                    seen = await events_until(response, {"global": n})
            assert [event.last_event_id for event in seen] == [f"global@{n}"]
