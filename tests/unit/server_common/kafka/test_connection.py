"""What a client of Kafka's is made with, and which settings cannot be meant."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from server_common.errors import SettingsError
from server_common.kafka.client_credentials import ClientCredentials
from server_common.kafka.connection import KafkaCluster, client_arguments
from server_common.kafka.settings import KafkaAccessSettings
from server_common.kafka.token_provider import FetchedTokens
from server_common.settings.loader import load
from tests.secure_kafka import Certificates, make_certificates
from tests.serving import serving

SECRET = "very-secret-password"
SCRAM = {
    "YABAM_KAFKA": "broker:9093",
    "YABAM_KAFKA_SASL": "SCRAM-SHA-512",
    "YABAM_KAFKA_USER": "relay",
    "YABAM_KAFKA_PASSWORD": SECRET,
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "relay")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(**values: str | Path) -> KafkaAccessSettings:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        return load(KafkaAccessSettings)

    return made


def test_an_address_alone_is_a_cluster_without_accounts() -> None:
    assert client_arguments("a:1,b:2") == {"bootstrap_servers": "a:1,b:2"}


def test_without_settings_a_process_has_no_account(settings: Any) -> None:
    assert client_arguments(settings(YABAM_KAFKA="a:1").cluster) == {
        "bootstrap_servers": "a:1",
        "security_protocol": "PLAINTEXT",
    }


def test_an_account_by_scram(settings: Any) -> None:
    assert client_arguments(settings(**SCRAM).cluster) == {
        "bootstrap_servers": "broker:9093",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "relay",
        "sasl_plain_password": SECRET,
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_an_account_over_tls(settings: Any, certificates: Certificates, mechanism: str) -> None:
    arguments = client_arguments(
        settings(
            **SCRAM | {"YABAM_KAFKA_SASL": mechanism},
            YABAM_KAFKA_TLS="true",
            YABAM_KAFKA_CA_FILE=certificates.ca,
        ).cluster
    )
    assert arguments["security_protocol"] == "SASL_SSL"
    assert arguments["sasl_mechanism"] == mechanism
    context = arguments["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_a_certificate_of_our_own(settings: Any, certificates: Certificates) -> None:
    cluster = settings(
        YABAM_KAFKA="a:1",
        YABAM_KAFKA_TLS="true",
        YABAM_KAFKA_CA_FILE=certificates.ca,
        YABAM_KAFKA_CERT_FILE=certificates.client,
        YABAM_KAFKA_KEY_FILE=certificates.client_key,
    ).cluster
    assert client_arguments(cluster)["security_protocol"] == "SSL"


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "an account without a password": ({"YABAM_KAFKA_PASSWORD": ""}, "YABAM_KAFKA_PASSWORD"),
    "an unknown mechanism": ({"YABAM_KAFKA_SASL": "GSSAPI"}, "YABAM_KAFKA_SASL"),
    "a password for all to see": ({"YABAM_KAFKA_SASL": "PLAIN"}, "YABAM_KAFKA_TLS=true"),
    "no place for tokens": ({"YABAM_KAFKA_SASL": "OAUTHBEARER"}, "YABAM_KAFKA_TOKEN_URL"),
    "a place for tokens that anybody may listen to": (
        {"YABAM_KAFKA_TOKEN_URL": "http://a.example/token"}, "https",
    ),
    "a place for tokens that only looks like this machine": (
        {"YABAM_KAFKA_TOKEN_URL": "http://127.0.0.1:x@evil.example/"}, "https",
    ),
    "a place for tokens behind an account": (
        {"YABAM_KAFKA_TOKEN_URL": "https://good.example@evil.example/"}, "https",
    ),
    "a certificate without TLS": ({"YABAM_KAFKA_CERT_FILE": "x.pem"}, "YABAM_KAFKA_TLS=true"),
    "a file that is not there": (
        {"YABAM_KAFKA_TLS": "true", "YABAM_KAFKA_CA_FILE": "/nowhere/ca.pem"}, "YABAM_KAFKA_",
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", WRONG)
def test_settings_that_cannot_be_meant_stop_the_start_and_show_no_secret(
    settings: Any, which: str
) -> None:
    values, told = WRONG[which]
    with pytest.raises(SettingsError, match=told) as error:
        settings(**SCRAM | values)
    assert SECRET not in str(error.value)


def test_nothing_that_is_shown_of_a_cluster_holds_a_secret(settings: Any) -> None:
    cluster = settings(**SCRAM).cluster
    assert str(cluster) == f"{cluster}" == "broker:9093"
    assert SECRET not in repr(cluster)
    assert isinstance(cluster, KafkaCluster)


class TokenPlace:
    """Where tokens are given: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.body = json.dumps({"access_token": "t1", "expires_in": 100}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        self.asked.append((await reader.readexactly(length)).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + self.body)
        await writer.drain()


async def test_a_token_is_asked_for_once_and_again_before_it_expires() -> None:
    place, now = TokenPlace(), [0.0]
    async with serving(place.serve) as port:
        credentials = ClientCredentials(f"http://127.0.0.1:{port}/t", "relay", SECRET, "kafka")
        tokens = FetchedTokens(credentials, lambda: now[0])
        assert [await tokens.token() for _ in range(3)] == ["t1"] * 3
        assert place.asked == ["grant_type=client_credentials&scope=kafka"]
        now[0] = 79.0
        await tokens.token()
        assert len(place.asked) == 1
        now[0] = 80.0
        await tokens.token()
        assert len(place.asked) == 2


@pytest.mark.parametrize("body", [b"", b"{}", b"no", b"x" * 70_000])
async def test_an_answer_without_a_token_is_an_absent_kafka(body: bytes) -> None:
    place = TokenPlace()
    place.body = body
    async with serving(place.serve) as port:
        tokens = FetchedTokens(ClientCredentials(f"http://127.0.0.1:{port}/t", "relay", SECRET))
        with pytest.raises(KafkaConnectionError) as error:
            await tokens.token()
    assert SECRET not in str(error.value)


def test_every_client_of_kafka_is_made_with_these_arguments() -> None:
    """One that is not would speak without TLS and without an account."""
    root, made = Path(__file__).parents[4], 0
    for package in ("client_sdk", "core_api", "event_server", "server_common"):
        for path in (root / package).rglob("*.py"):
            clients = re.findall(r"\bAIOKafka\w+\((.*?)\n? *\)\n", path.read_text(), re.DOTALL)
            made += len(clients)
            assert all("**client_arguments(" in one for one in clients), path
    assert made >= 10
