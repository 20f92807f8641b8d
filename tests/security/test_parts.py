"""T27 to T31: parts of the system that are not what they should be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from client_sdk import OrderClient
from client_sdk.contract.limits import MAX_SYNC_BYTES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.machine.messages import OpenStream, StartSync, StreamEnded, SyncFailed
from client_sdk.transport.http_transport import Transport
from deploy.local.stack import Stack
from server_common.kafka_records.events import OrderRecord, encode_order_record
from tests.integration.client_sdk.scripted import CHANNEL, Script, answering, scripted
from tests.integration.core_api.test_ingest import a_command
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.integration.event_server.conftest import following, running
from tests.security.installation import TOGETHER
from tests.security.test_logs import until
from tests.unit.event_server.parts import EPOCH

FORGED = "x\r\n\r\nevent: bye\r\ndata: {}\r\n\r\n"


async def test_t27_a_client_shows_its_token_to_core_alone() -> None:
    async with scripted() as core, scripted() as elsewhere:
        elsewhere_is = {"location": f"{elsewhere.url}/v1/sync"}
        core.on_sync = [answering((status, elsewhere_is, b"")) for status in (301, 302, 307, 308)]
        client = OrderClient(core.url, "the-token", [CHANNEL])
        async with client, asyncio.timeout(30):
            events = asyncio.create_task(_until_pushed(client, core))
            await core.until(lambda: bool(core.streams))
            await events
    assert [asked.headers["authorization"] for asked in core.syncs[:5]] == ["bearer the-token"] * 5
    assert elsewhere.syncs == elsewhere.streams == []
    for stream in core.streams:
        assert stream.query["ticket"] == ["ticket"]
        assert "authorization" not in stream.headers
        assert "the-token" not in str(stream)


async def _until_pushed(client: OrderClient, core: Script) -> None:
    await core.until(lambda: bool(core.wires))
    await core.commit()
    async for _ in client.events():
        return


FORGERIES = (
    OrderRecord(EPOCH, FORGED, "t", ("store:12@1",), (b"{}",)),
    OrderRecord(EPOCH, "order.placed\n", "t", ("store:12@1",), (b"{}",)),
    OrderRecord(EPOCH, "heartbeat", "t", ("store:12@1",), (b'{"watermark":"9999-01-01Z"}',)),
    OrderRecord(EPOCH, "bye", "t", ("store:12@1",), (b"{}",)),
    OrderRecord(EPOCH, "order.placed", "t", (f"store:12@1{FORGED}",), (b"{}",)),
    OrderRecord(EPOCH, "order.placed", "t", ("store:12@1",), (FORGED.encode(),)),
    OrderRecord(EPOCH, "order.placed", "t", ("store:12@1",), (b"{\r}",)),
    OrderRecord(EPOCH, "order.placed", FORGED, ("store:12@1", "x"), (b"{}", b"{}")),
)


async def after(forgery: OrderRecord, client: httpx.AsyncClient) -> list[str]:
    """What a stream gets after somebody else has written to its partition, and what the next."""
    async with running() as server:
        async with following(client, server, server.ticket({"store:12": 0})) as stream:
            await stream.next()
            server.take(*encode_order_record(forgery))
            got = [(event.type, event.last_event_id) for event in await stream.rest()]
        server.mark()
        ticket = server.ticket({"store:12": 1}, issued_at=time.time() + 2)
        async with following(client, server, ticket) as stream:
            await stream.next()
            server.publish("store:12@2")
            event = await stream.next()
            got.append((event.type, event.last_event_id))
    return [f"{kind} {event_id}".strip() for kind, event_id in got]


@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
async def test_t28_what_somebody_else_writes_to_order_events_forges_no_frame(
    client: httpx.AsyncClient, forgery: OrderRecord
) -> None:
    """Whoever follows the channel is told to sync, for what it says is not known; no more."""
    assert await after(forgery, client) == ["sync-required", "order.placed store:12@2"]


@TOGETHER
async def test_t29_what_is_written_to_orders_inbound_has_a_producers_rights(system: Stack) -> None:
    store = new_store()
    owner = bearer(token("owner", store))
    async with httpx.AsyncClient(base_url=system.core_url) as core:
        placed = await core.post("/v1/orders", json=an_order(store), headers=owner)
        order_id = placed.json()["id"]
        commands = [
            a_command(f"k-{to}", "transition", order_id=order_id, body={"to": to})
            for to in ("accepted", "rejected", "preparing", "ready", "served", "paid")
        ]
        commands.append(a_command("read", "read", order_id=order_id))
        commands.append(a_command("role", body=an_order(store), role="owner"))
        commands.append(a_command("last", "change", order_id=order_id, body={"note": "by Kafka"}))
        async with AIOKafkaProducer(bootstrap_servers=system.addresses.kafka) as producer:
            for command in commands:
                await producer.send_and_wait("orders.inbound", command, store.encode())
        await until(system, {"command_refused"})
        async with asyncio.timeout(20):
            while True:
                order = (await core.get(f"/v1/orders/{order_id}", headers=owner)).json()
                if order["note"] == "by Kafka":
                    break
                await asyncio.sleep(0.05)
    assert (order["status"], order["version"]) == ("placed", 2)
    connection = await asyncpg.connect(system.addresses.database)
    assert await connection.fetchval("SELECT count(*) FROM orders WHERE store_id = $1", store) == 1
    await connection.close()


class Endless(httpx.AsyncByteStream):
    """A body that never ends; how much of it was read."""

    def __init__(self, chunk: bytes) -> None:
        self.chunk = chunk
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.given += len(self.chunk)
            yield self.chunk


async def test_t30_a_server_that_answers_without_end_is_cut_off() -> None:
    for status in (200, 503):
        body = Endless(b" " * (1 << 20))
        failed = await transport(status, body).sync(StartSync(1, {CHANNEL: 0}, None, 0.0), "t")
        assert isinstance(failed, SyncFailed)
        assert body.given <= MAX_SYNC_BYTES + 2 * len(body.chunk)
    for line in (b"x" * 4096, b"data: y" * 512 + b"\n"):
        body = Endless(line)
        stream = transport(200, body).stream(OpenStream(1, "http://events/v1/stream", "t", {}))
        (ended,) = [signal async for signal in stream]
        assert isinstance(ended, StreamEnded)
        assert body.given <= MAX_EVENT_BYTES + 2 * len(line)


def transport(status: int, body: Endless) -> Transport:
    """A client whose server answers with this body."""

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": "text/event-stream"}, stream=body)

    http = httpx.AsyncClient(base_url="http://core", transport=httpx.MockTransport(answer))
    return Transport(http)


@TOGETHER
async def test_t31_order_events_carries_no_token_ticket_or_key(system: Stack) -> None:
    store = new_store()
    who = token("owner", store)
    async with httpx.AsyncClient(base_url=system.core_url) as core:
        for number in range(5):
            headers = bearer(who, idempotency_key=f"key-{number}")
            await core.post("/v1/orders", json=an_order(store), headers=headers)
        synced = await core.get(f"/v1/sync?channel=store:{store}", headers=bearer(who))
    ticket = synced.json()["stream"]["ticket"]
    secrets = [who, who.split(".")[2], ticket.split(".")[2], KEYS.token, KEYS.ticket, "key-1"]
    seen = 0
    async with AIOKafkaConsumer(bootstrap_servers=system.addresses.kafka) as consumer:
        parts = [TopicPartition("order-events", number) for number in range(4)]
        consumer.assign(parts)
        await consumer.seek_to_beginning()
        async with asyncio.timeout(20):
            while seen < 5:
                record = await consumer.getone()
                text = f"{record.key!r} {record.value!r} {record.headers!r}"
                assert not any(secret in text for secret in secrets), text
                seen += record.key == store.encode()
