"""The whole system on an Apache Kafka with TLS, where each process has an account that may no more
than it needs: relay by a client's certificate, event servers by OAUTHBEARER, ingest by SCRAM."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from client_sdk.contract.sse import SseEvent, SseParser
from deploy.kafka.server import ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from tests.forked import FORKED
from tests.integration.core_api.conftest import KAFKA_BUILD
from tests.integration.core_service import KEYS, an_order, bearer, token
from tests.parts import make_database
from tests.secure_kafka import RULES, SecureKafka, make_certificates

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("secure-kafka")]
WITHIN_S = 60.0


class GivesTokens(BaseHTTPRequestHandler):
    """A sign-in that gives a program the token of the account `events`."""

    def do_POST(self) -> None:
        """Give one that is good for ten minutes."""
        now = int(time.time())
        claims = {"sub": "events", "iat": now, "exp": now + 600}
        token = ".".join((*map(_part, ({"alg": "none"}, claims)), ""))
        body = json.dumps({"access_token": token, "expires_in": 600}).encode()
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def tokens() -> Iterator[str]:
    """Where they are given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), GivesTokens)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    folder = tmp_path_factory.mktemp("accounts-kafka")
    libs = ensure_libs(KAFKA_BUILD, print)
    passwords = {user: f"secret-of-{user}" for user in RULES}
    one = SecureKafka(folder / "data", libs, make_certificates(folder, "relay"), passwords)
    try:
        one.start()
        for user, rules in RULES.items():
            one.permit(user, rules)
        yield one
    finally:
        one.kill()


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
    broker: SecureKafka,
    tokens: str,
) -> Iterator[Stack]:
    """Each process proves its account in another way: by a certificate, a token, a password."""
    shared = {
        "YABAM_KAFKA_TLS": "true",
        "YABAM_KAFKA_CA_FILE": str(broker.folder / "ca.pem"),
    }
    own = {
        "relay": {
            "YABAM_KAFKA": broker.certs,
            "YABAM_KAFKA_CERT_FILE": str(broker.folder / "client.pem"),
            "YABAM_KAFKA_KEY_FILE": str(broker.folder / "key.pem"),
        },
        "events": {
            "YABAM_KAFKA_SASL": "OAUTHBEARER",
            "YABAM_KAFKA_TOKEN_URL": tokens,
            "YABAM_KAFKA_USER": "program-of-events",
            "YABAM_KAFKA_PASSWORD": "secret-of-its-program",
        },
        "ingest": {
            "YABAM_KAFKA_SASL": "SCRAM-SHA-256",
            "YABAM_KAFKA_USER": "ingest",
            "YABAM_KAFKA_PASSWORD": broker.passwords["ingest"],
        },
    }
    database = asyncio.run(make_database(postgres_server))
    addresses = Addresses(database, broker.accounts, ports=free_ports())
    folder = tmp_path_factory.mktemp("accounts")
    stack = Stack(addresses, KEYS, folder, shared, own, starter=FORKED)
    try:
        stack.migrate()
        stack.start(120)
        yield stack
    finally:
        stack.kill()


async def test_an_order_reaches_who_streams_and_a_revoked_token_ends_the_stream(
    system: Stack,
) -> None:
    who = token("owner", "91")
    async with (
        httpx.AsyncClient(base_url=system.core_url, trust_env=False, timeout=30) as http,
        asyncio.timeout(WITHIN_S),
    ):
        synced = await http.get("/v1/sync?channel=store:91", headers=bearer(who))
        grant = synced.json()["stream"]
        async with http.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            events = sent_by(stream)
            assert (await anext(events)).type == "hello"
            placed = await http.post(
                "/v1/orders", json=an_order("91"), headers=bearer(token("producer", "91"))
            )
            assert placed.status_code == 201
            while (event := await anext(events)).type != "order.placed":
                pass
            assert placed.json()["id"] in event.data
            revoked = await http.post(
                "/v1/revocations",
                json={"kind": "subject", "name": "owner-91"},
                headers=bearer(token("ops")),
            )
            assert revoked.status_code == 204
            while (event := await anext(events)).type != "bye":
                pass
            assert '"expired"' in event.data


async def test_a_command_from_kafka_is_applied_by_ingest(
    system: Stack, broker: SecureKafka
) -> None:
    command = {
        "command": "place", "idempotency_key": "k-92", "subject": "till", "body": an_order("92"),
    }  # fmt: skip
    # By the test's own door: producers have accounts of the operator's.
    producer = AIOKafkaProducer(bootstrap_servers=broker.server.bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait("orders.inbound", json.dumps(command).encode(), b"92")
    finally:
        await producer.stop()
    asked = {"channel": "store:92", "lastEventId": "store:92@0", "wait": "20"}
    async with (
        httpx.AsyncClient(base_url=system.core_url, trust_env=False, timeout=30) as http,
        asyncio.timeout(WITHIN_S),
    ):
        while True:
            answer = await http.get("/v1/sync", params=asked, headers=bearer(token("owner", "92")))
            if answer.json()["channels"][0]["head"]:
                return


async def sent_by(response: httpx.Response) -> AsyncIterator[SseEvent]:
    parser = SseParser()
    async for part in response.aiter_bytes():
        for event in parser.feed(part):
            yield event


def test_nobody_was_denied_what_it_needs_and_no_password_stands_in_a_log(system: Stack) -> None:
    for process in system.processes:
        text = process.log.read_text()
        assert "AuthorizationFailed" not in text, process.name
        assert "secret-of-" not in text, process.name
