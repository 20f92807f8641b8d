"""Each background task of an event server fails from inside, beside a broker: it is started again,
the server says so, and is not ready while it fails if streams need that task."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import jwt
import pytest
from aiokafka import AIOKafkaProducer

from core_api.kafka.topics import ensure_topics, events_topic
from deploy.local.broker import EmbeddedBroker
from event_server.http.access import OpsTokens
from event_server.main import build, kafka_source, other_tasks, serve, ticket_keys
from event_server.metrics import CERTIFICATE, READER, REVOCATIONS, SOURCE, TIMER, WRITER
from event_server.settings import EventSettings
from server_common.sockets import bind
from tests.integration.event_server.conftest import SECRET
from tests.killing import Killer
from tests.secure_kafka import make_certificates
from tests.unit.event_server.parts import EPOCH, watermark_record

PARTITIONS = 4
_WATERMARKS_EVERY_S = 0.2
_TOKEN = jwt.encode(
    {"sub": "x", "role": "ops", "aud": "yabam", "exp": 4_000_000_000},
    SECRET,
    "HS256",
    {"kid": "a1"},
)


@asynccontextmanager
async def a_relay_that_lives(bootstrap: str, topic: str) -> AsyncIterator[None]:
    """Watermarks in all partitions, again and again."""

    async def write(producer: AIOKafkaProducer) -> None:
        while True:
            headers = watermark_record(time.time(), EPOCH)
            for partition in range(PARTITIONS):
                await producer.send_and_wait(topic, None, b"", partition=partition, headers=headers)
            await asyncio.sleep(_WATERMARKS_EVERY_S)

    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        writing = asyncio.create_task(write(producer))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def test_each_task_that_fails_is_started_again(
    embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, name = make_certificates(tmp_path, "nobody"), uuid4().hex
    settings = EventSettings.model_validate(
        {
            "ticket_keys": {"t1": "k" * 32},
            "ticket_kid": "t1",
            "token_keys": {"a1": SECRET},
            "partitions": PARTITIONS,
            "kafka": embedded_broker.bootstrap,
            "events_topic": f"events-{name}",
            "messages_topic": f"messages-{name}",
            "receipts_topic": f"receipts-{name}",
            "revocations_topic": f"revocations-{name}",
            "events_drain_s": 0.3,
            "events_fetch_wait_ms": 50,
            "events_tls_cert": str(files.broker),
            "events_tls_key": str(files.broker),
        }
    )
    topic = settings.events_topic
    await ensure_topics(embedded_broker.bootstrap, [events_topic(topic, PARTITIONS)], 10)
    server = build(settings, ticket_keys(settings), OpsTokens(settings.token_keys, time.time))
    source = kafka_source(server)
    listener = bind("127.0.0.1", 0, "none")
    client = httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{listener.getsockname()[1]}",
        headers={"authorization": f"Bearer {_TOKEN}"},
        verify=ssl.create_default_context(cafile=str(files.ca)),
        timeout=30,
    )
    async with client, a_relay_that_lives(embedded_broker.bootstrap, topic):
        serving = asyncio.create_task(serve(server, [listener], source.run, other_tasks(server)))
        try:
            await Killer(client, monkeypatch).hold_each(
                {SOURCE, TIMER, WRITER, READER, REVOCATIONS, CERTIFICATE}, {SOURCE, TIMER}
            )
            assert not serving.done()
        finally:
            server.http.stop()
            server.http.stop()
            await serving
