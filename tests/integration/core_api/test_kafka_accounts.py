"""A real Apache Kafka with TLS, accounts and access rules: every way in, and only the relay writes
the log."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaConsumer
from structlog.testing import capture_logs

from core_api.kafka.messages import Message
from core_api.kafka.permitting import permit
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.rights import Names, rights_of
from core_api.kafka.topics import BrokerError, events_topic
from deploy.kafka.server import KafkaServer
from server_common.kafka.client_credentials import ClientCredentials
from server_common.kafka.clients import start_client
from server_common.kafka.connection import (
    Account,
    KafkaCluster,
    Mechanism,
    Tls,
    client_arguments,
)
from tests.secure_kafka import RULES, SecureKafka, make_certificates
from tests.serving import serving

pytestmark = pytest.mark.kafka
TOPIC: Final = "order-events"
PASSWORDS: Final = {"relay": "secret-of-the-relay", "events": "secret-of-the-event-servers"}


@pytest.fixture(scope="module")
def secure(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    folder = tmp_path_factory.mktemp("secure-kafka")
    broker = SecureKafka(folder / "data", kafka_libs, make_certificates(folder, "relay"), PASSWORDS)
    try:
        broker.start()
        for user in PASSWORDS:
            broker.permit(user, RULES[user])
        yield broker
    finally:
        broker.kill()


def tls(secure: SecureKafka) -> Tls:
    return Tls(str(secure.folder / "ca.pem"))


def as_account(
    secure: SecureKafka, user: str, mechanism: Mechanism = "SCRAM-SHA-512", password: str = ""
) -> KafkaCluster:
    account = Account(mechanism, user, password or PASSWORDS[user])
    return KafkaCluster(secure.accounts, tls(secure), account)


async def write(cluster: KafkaCluster, text: bytes) -> None:
    publisher = KafkaPublisher(cluster, events_topic(TOPIC, 1))
    try:
        sent = await publisher.send({0: [Message(b"1", text, [], 0)]})
        result = await asyncio.wait_for(sent[0], 30)
        assert result.stored == {0: 1}, result
    finally:
        await publisher.close()


async def read(cluster: KafkaCluster) -> list[bytes | None]:
    """All that the topic holds."""
    consumer = AIOKafkaConsumer(
        TOPIC, **client_arguments(cluster), group_id=None, auto_offset_reset="earliest"
    )
    try:
        await start_client(consumer)
        found = []
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            found.append((await consumer.getone()).value)
        return found
    finally:
        await consumer.stop()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
async def test_the_relay_writes_by_its_account_and_event_servers_read_by_theirs(
    secure: SecureKafka, mechanism: Mechanism
) -> None:
    await write(as_account(secure, "relay", mechanism), mechanism.encode())
    assert mechanism.encode() in await read(as_account(secure, "events", mechanism))


async def test_a_certificate_is_an_account(secure: SecureKafka) -> None:
    folder = secure.folder
    files = [str(folder / f"{name}.pem") for name in ("ca", "client", "key")]
    await write(KafkaCluster(secure.certs, Tls(*files)), b"by a certificate")
    assert b"by a certificate" in await read(as_account(secure, "events"))


async def test_a_token_is_an_account(secure: SecureKafka) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now = int(time.time())
    token = f"{part({'alg': 'none'})}.{part({'sub': 'relay', 'iat': now, 'exp': now + 600})}."

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"access_token": token, "expires_in": 600}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body)
        await writer.drain()

    async with serving(give) as port:
        credentials = ClientCredentials(f"http://127.0.0.1:{port}/token", "relay", "s")
        account = Account("OAUTHBEARER", credentials=credentials)
        await write(KafkaCluster(secure.accounts, tls(secure), account), b"by a token")
    assert b"by a token" in await read(as_account(secure, "events"))


async def test_only_the_relay_writes_the_log(secure: SecureKafka) -> None:
    await write(as_account(secure, "relay"), b"of the relay")
    with pytest.raises(BrokerError, match="Authorization"):
        await write(as_account(secure, "events"), b"forged")
    assert b"forged" not in await read(as_account(secure, "events"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
async def test_a_wrong_password_opens_nothing_and_is_shown_nowhere(
    secure: SecureKafka, mechanism: Mechanism
) -> None:
    wrong = "a-secret-that-is-wrong"
    with capture_logs() as logs, pytest.raises(BrokerError) as error:
        await write(as_account(secure, "relay", mechanism, wrong), b"x")
    assert wrong not in f"{logs} {error.value!r} {error.value.__cause__!r}"


async def test_a_broker_that_another_authority_has_signed_is_not_believed(
    secure: SecureKafka, tmp_path: Path
) -> None:
    stranger = make_certificates(tmp_path, "relay")
    account = Account("PLAIN", "relay", PASSWORDS["relay"])
    cluster = KafkaCluster(secure.accounts, Tls(str(stranger.ca)), account)
    with pytest.raises(BrokerError):
        await write(cluster, b"x")


async def test_rights_are_given_by_whom_may_and_once_more_does_no_harm(
    secure: SecureKafka,
) -> None:
    rights = rights_of(Names())["events"]
    await permit(secure.server.bootstrap, "events", rights)
    await permit(secure.server.bootstrap, "events", rights)
    with pytest.raises(BrokerError, match="READ of order-events"):
        await permit(as_account(secure, "events"), "events", rights)


async def test_a_kafka_without_access_rules_says_what_to_set(kafka_server: KafkaServer) -> None:
    with pytest.raises(BrokerError, match=r"authorizer\.class\.name"):
        await permit(kafka_server.bootstrap, "events", rights_of(Names())["events"])
