"""The whole system on an Apache Kafka with TLS, where each process has an account that may no more
than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

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


@pytest.fixture(scope="module")
def system(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("accounts")
    certificates = make_certificates(folder, "relay")
    passwords = {user: f"secret-of-{user}" for user in RULES}
    libs = ensure_libs(KAFKA_BUILD, print)
    broker = SecureKafka(folder / "kafka", libs, certificates, passwords)
    shared = {
        "YABAM_KAFKA_TLS": "true",
        "YABAM_KAFKA_CA_FILE": str(certificates.ca),
        "YABAM_KAFKA_SASL": "SCRAM-SHA-512",
    }
    own = {
        user: {"YABAM_KAFKA_USER": user, "YABAM_KAFKA_PASSWORD": password}
        for user, password in passwords.items()
    }
    database = asyncio.run(make_database(postgres_server))
    addresses = Addresses(database, broker.accounts, ports=free_ports())
    stack = Stack(addresses, KEYS, folder, shared, own, starter=FORKED)
    try:
        broker.start()
        for user, rules in RULES.items():
            broker.permit(user, rules)
        stack.migrate()
        stack.start(120)
        yield stack
    finally:
        stack.kill()
        broker.kill()


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
