"""T22 and T23: what no log holds, and what each line of a log is."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from deploy.local.stack import Stack
from tests.integration.core_api.test_ingest import a_command
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.integration.event_server.conftest import Stream
from tests.security.installation import TOGETHER, log_events, log_lines

GUEST = {"name": "Kim Minji", "phone": "+82 10 5550 1234"}
NOTE = "no peanuts, severe allergy"
FORBIDDEN = "a note that the database refuses"
HOSTILE = 'x\r\n{"event":"forged"}\n\x1b[31mred\x1b[0m\x85\u2028"}, {"event":"forged"'


async def everything(stack: Stack, store: str) -> set[str]:
    """Every kind of request, well meant and not, over HTTP and Kafka; the secrets in them."""
    owner = token("owner", store)
    order = an_order(store, note=NOTE, guest=GUEST)
    secrets = {owner, owner.split(".")[2], KEYS.token, KEYS.ticket, *GUEST.values(), NOTE}
    async with httpx.AsyncClient(base_url=stack.core_url, timeout=20) as core:
        headers = bearer(owner, idempotency_key="my-key")
        assert (await core.post("/v1/orders", json=order, headers=headers)).status_code == 201
        await core.post("/v1/orders", json=order | {"note": ""}, headers=headers)
        refused = await core.post(
            "/v1/orders", json=order | {"note": FORBIDDEN}, headers=bearer(owner)
        )
        assert refused.status_code == 500
        for path in (f"/v1/orders/{owner}", f"/v1/sync?ticket={owner}", f"/{NOTE}"):
            await core.get(path, headers=bearer(owner[:-1]))
        synced = await core.get(f"/v1/sync?channel=store:{store}&lastEventId=0",
                                headers=bearer(owner))  # fmt: skip
        ticket = synced.json()["stream"]["ticket"]
    secrets |= {ticket, ticket.split(".")[2], FORBIDDEN}
    async with httpx.AsyncClient(base_url=stack.events_url, timeout=20) as events:
        async with events.stream("GET", "/v1/stream", params={"ticket": ticket}) as response:
            assert (await Stream(response).next()).type == "hello"
        for bad in (ticket[:-1], owner):
            response = await events.get("/v1/stream", params={"ticket": bad})
            assert response.status_code == 401
        await events.get("/metrics", headers=bearer(owner))
    await to_kafka(stack, store, order)
    return secrets


async def to_kafka(stack: Stack, store: str, order: dict[str, Any]) -> None:
    """A command that is refused and one that the database refuses, until ingest says so."""
    async with AIOKafkaProducer(bootstrap_servers=stack.addresses.kafka) as producer:
        for command in (
            a_command("a", body=order | {"note": 7 * NOTE * 99}),
            a_command("b", body=order | {"note": FORBIDDEN}),
        ):
            await producer.send_and_wait("orders.inbound", command, store.encode())
    await until(stack, {"command_refused", "command_failed"})


@TOGETHER
async def test_t22_no_log_holds_a_token_a_ticket_a_key_or_what_a_guest_wrote(system: Stack) -> None:
    store = new_store()
    connection = await asyncpg.connect(system.addresses.database)
    # What Postgres says of a row that breaks a rule of its own quotes the whole row.
    await connection.execute(
        f"ALTER TABLE orders ADD CONSTRAINT refused CHECK (note <> '{FORBIDDEN}')"
    )
    await connection.close()
    secrets = await everything(system, store)
    events = [event["event"] for event in log_events(*system.processes)]
    assert {"request_failed", "command_refused", "command_failed"} <= set(events)
    for line in log_lines(*system.processes):
        for secret in secrets:
            assert secret not in line
            assert json.dumps(secret)[1:-1] not in line
    # There is no access log: a request that succeeds leaves no line.
    assert not any(f"store:{store}" in line for line in log_lines(*system.processes))


@TOGETHER
async def test_t23_whatever_a_client_sends_each_line_of_a_log_is_one_object(system: Stack) -> None:
    store = new_store()
    order = an_order(store, note=HOSTILE)
    async with httpx.AsyncClient(base_url=system.core_url, timeout=20) as core:
        owner = bearer(token("owner", store))
        await core.post("/v1/orders", json=order, headers=owner)
        await core.post("/v1/orders", json=order | {"store_id": HOSTILE}, headers=owner)
        await core.get("/v1/sync", params={"channel": HOSTILE, HOSTILE: "1"}, headers=owner)
        await core.get(quote(f"/{HOSTILE}"), headers=owner)
    visible = HOSTILE.encode("unicode_escape")
    for url in (system.core_url, system.events_url):
        for name in (b"Idempotency-Key", b"Yabam-Device", b"Last-Event-ID", b"Authorization"):
            for value in (HOSTILE.encode(), visible, b"\x1b[31m\x0b\x0c"):
                await raw(url, b"GET /v1/sync?%b HTTP/1.1" % visible, name + b": " + value)
        for line in (b"GET /\x1b[31m HTTP/1.1", b'{"event":"forged"}\n', b"\r\n\r\n\x00\xff"):
            await raw(url, line, b"Upgrade: \x1b[31mwebsocket\r\nConnection: Upgrade")
    async with AIOKafkaProducer(bootstrap_servers=system.addresses.kafka) as producer:
        headers = [("type", HOSTILE.encode()), ("epoch", b"1"), ("ids", HOSTILE.encode()),
                   (HOSTILE, b"x"), ("occurred_at", b"")]  # fmt: skip
        await producer.send_and_wait("order-events", HOSTILE.encode(), headers=headers)
        for command in (HOSTILE.encode(), a_command(HOSTILE), a_command("k", HOSTILE),
                        a_command("k", body=order | {HOSTILE: 1})):  # fmt: skip
            await producer.send_and_wait("orders.inbound", command, store.encode())
    await until(system, {"command_refused", "record_skipped"})
    events = log_events(*system.processes)
    assert not [event for event in events if event["event"] == "forged"]
    assert all(re.fullmatch("[a-z_]+", name) for name in {event["event"] for event in events} - {
        "Invalid HTTP request received.", "Unsupported upgrade request."})  # fmt: skip
    for text in log_lines(*system.processes):
        assert text.isascii()
        assert text.isprintable()


async def raw(url: str, *lines: bytes) -> None:
    """Send these lines as they are, and read what comes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\r\n".join([*lines, b"Host: x", b"Connection: close"]) + b"\r\n\r\n")
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()


async def until(stack: Stack, events: set[str]) -> None:
    """Return once each of these has been logged."""
    async with asyncio.timeout(30):
        while not events <= {event["event"] for event in log_events(*stack.processes)}:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
