"""`make up PROFILE=secure`: what it sets lets orders through, and lets in nobody who has no account
or speaks no TLS."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from client_sdk.contract.sse import SseEvent, SseParser
from core_api.kafka.messages import Message
from core_api.kafka.publisher import KafkaPublisher
from core_api.kafka.topics import BrokerError, events_topic
from deploy.processes.ports import LOOPBACK, free_port
from server_common.kafka.connection import Account, KafkaCluster, Tls
from server_common.mqtt.broker import Broker
from tests.data_folder import data_folder
from tests.deploy.composed import DEPLOY
from tests.deploy.edge import Nginx
from tests.deploy.tools import installed
from tests.end_to_end.secure_site import PROCESSES, SecureSite, started
from tests.integration.core_service import an_order, bearer
from tests.mqtt_parts import device, until_it_connects_with

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("secure-kafka")]
WITHIN_S: Final = 60.0
TOPIC: Final = "order-events"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder("yabam-secure-") as made:
        yield made


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[SecureSite]:
    with started(folder) as site:
        yield site


@pytest.fixture
async def public(system: SecureSite) -> AsyncIterator[httpx.AsyncClient]:
    """What a client of the installation speaks to: nginx, by HTTPS."""
    async with httpx.AsyncClient(
        base_url=system.nginx.url, verify=system.nginx.trust, trust_env=False, timeout=30
    ) as client:
        yield client


async def sent_by(response: httpx.Response) -> AsyncIterator[SseEvent]:
    parser = SseParser()
    async for part in response.aiter_bytes():
        for event in parser.feed(part):
            yield event


async def test_an_order_reaches_who_streams(system: SecureSite, public: httpx.AsyncClient) -> None:
    headers = bearer(system.token("owner", "91"))
    async with asyncio.timeout(WITHIN_S):
        synced = await public.get("/v1/sync?channel=store:91", headers=headers)
        grant = synced.json()["stream"]
        assert grant["url"].startswith(system.nginx.url)
        async with public.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            events = sent_by(stream)
            assert (await anext(events)).type == "hello"
            placed = await public.post("/v1/orders", json=an_order("91"), headers=headers)
            assert placed.status_code == 201
            while (event := await anext(events)).type != "order.placed":
                pass
            assert placed.json()["id"] in event.data


async def test_what_a_device_says_reaches_core_through_gateway_and_ingest(
    system: SecureSite, public: httpx.AsyncClient
) -> None:
    headers = bearer(system.token("owner", "92"))
    made = (await public.put("/v1/stores/92/devices/bell", json={}, headers=headers)).json()
    authority = str(system.authority("mqtt"))
    broker = Broker("localhost", system.mqtt_port, made["user"], made["password"], authority)
    await until_it_connects_with(broker)
    status = {"connection": "c1", "online": True, "boot": 1, "at": 1}
    async with device(broker) as bell, asyncio.timeout(WITHIN_S):
        topic = "yabam/v1/92/devices/bell/status"
        await bell.connection.publish(topic, json.dumps(status).encode(), retain=True)
        where = {"channel": "device:92/bell", "key": "status"}
        while True:
            found = await public.get("/v1/documents", params=where, headers=headers)
            if found.status_code == 200 and (found.json()["value"] or {}).get("online"):
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", PROCESSES)
async def test_every_process_speaks_tls_alone_with_a_certificate_of_the_authority(
    system: SecureSite, name: str
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://{LOOPBACK}:{system.ports[name]}/healthz")
    ours = ssl.create_default_context(cafile=system.authority("http"))
    for other in PROCESSES:
        # The certificate has the name that the process has in compose, and no other process's.
        asked = {"sni_hostname": other}
        async with httpx.AsyncClient(verify=ours, trust_env=False) as client:
            if other == name:
                answer = await client.get(f"{system.url(name)}/healthz", extensions=asked)
                assert answer.status_code == 200
                continue
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"{system.url(name)}/healthz", extensions=asked)


async def test_nginx_believes_no_server_whose_certificate_another_authority_has_signed(
    system: SecureSite, tmp_path: Path
) -> None:
    ports = [system.ports["core"]], [system.ports["events"]]
    nginx = Nginx(tmp_path / "nginx", *ports, system.authority("kafka"))
    await asyncio.to_thread(nginx.start)
    try:
        async with httpx.AsyncClient(verify=nginx.trust, trust_env=False) as client:
            for path in ("/readyz", "/v1/stream"):
                assert (await client.get(f"{nginx.url}{path}")).status_code == 502
    finally:
        await asyncio.to_thread(nginx.stop)


async def test_the_ops_page_sees_every_process_that_compose_names(
    system: SecureSite, public: httpx.AsyncClient
) -> None:
    headers = bearer(system.token("ops"))
    async with (
        asyncio.timeout(WITHIN_S),
        public.stream("GET", "/v1/ops/stream", headers=headers) as stream,
    ):
        async for event in sent_by(stream):
            nodes = json.loads(event.data)["nodes"] if event.type == "figures" else []
            if nodes and all(node["state"] == "ready" for node in nodes):
                kinds = {node["kind"] for node in nodes}
                assert kinds == {"core", "events", "relay", "ingest"}
                return


@pytest.fixture
def prometheus(system: SecureSite, tmp_path: Path) -> Iterator[int]:
    """The port of a Prometheus with the profile's file, in which only places and pace are other."""
    config = yaml.safe_load((DEPLOY / "prometheus/secure.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = []
    secrets = {
        "/run/secrets/ops_token": str(system.folder / "secrets/ops-token"),
        "/run/secrets/ops_nodes_token": str(system.folder / "secrets/ops-nodes-token"),
        "/run/secrets/http_ca": str(system.authority("http")),
    }
    for job in config["scrape_configs"]:
        name = job["job_name"].removeprefix("yabam-")
        del job["dns_sd_configs"]
        token = secrets[job["authorization"]["credentials_file"]]
        job["authorization"] = {"credentials_file": token}
        job["tls_config"]["ca_file"] = secrets[job["tls_config"]["ca_file"]]
        job["static_configs"] = [{"targets": [f"{LOOPBACK}:{system.ports[name]}"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                installed("prometheus", "prometheus"),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address={LOOPBACK}:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def test_prometheus_reads_every_process(prometheus: int) -> None:
    seen: list[tuple[str, str]] = []
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            async with asyncio.timeout(WITHIN_S):
                while len(seen) < len(PROCESSES) or any(error for _, error in seen):
                    await asyncio.sleep(0.2)
                    try:
                        found = await client.get(f"http://{LOOPBACK}:{prometheus}/api/v1/targets")
                        targets = found.json()["data"]["activeTargets"]
                    except (httpx.TransportError, json.JSONDecodeError):
                        continue  # it is starting
                    seen = [
                        (one["labels"]["job"], one["lastError"])
                        for one in targets
                        if one["health"] != "unknown"
                    ]
        except TimeoutError:
            pytest.fail(f"Prometheus reads {seen}")


async def test_every_connection_to_postgres_is_encrypted(system: SecureSite) -> None:
    connection = await asyncpg.connect(system.database)
    try:
        plain = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
            " WHERE a.client_addr IS NOT NULL AND NOT s.ssl"
        )
    finally:
        await connection.close()
    assert plain == 0


async def test_postgres_lets_nobody_in_without_tls_or_with_another_password(
    system: SecureSite,
) -> None:
    plain = system.database.partition("?")[0]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await asyncpg.connect(plain, ssl=False)
    other = system.database.replace(system.values["POSTGRES_PASSWORD"], "another")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(other)


async def test_a_postgres_of_another_authority_or_name_is_not_believed(system: SecureSite) -> None:
    other = system.database.replace("secrets/postgres/ca.crt", "secrets/kafka/ca.crt")
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(other)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname mismatch"):
        # Another way to write this machine's address, of which the certificate knows nothing.
        await asyncpg.connect(system.database.replace("@localhost:", "@127.1:"))


async def test_kafka_lets_nobody_in_without_tls_and_an_account(system: SecureSite) -> None:
    authority = ssl.create_default_context(cafile=system.authority("kafka"))
    address = f"localhost:{system.kafka_port}"
    for how in (
        {"security_protocol": "PLAINTEXT"},
        {"security_protocol": "SSL", "ssl_context": authority},
        {
            "security_protocol": "SASL_SSL", "ssl_context": authority, "sasl_mechanism": "PLAIN",
            "sasl_plain_username": "relay", "sasl_plain_password": "another",
        },
    ):  # fmt: skip
        arguments: dict[str, Any] = {"bootstrap_servers": address, "request_timeout_ms": 3000}
        admin = AIOKafkaAdminClient(**arguments, **how)
        with pytest.raises(KafkaError):
            await admin.start()
        await admin.close()


@pytest.mark.parametrize("account", ["events", "ingest", "gateway"])
async def test_only_relays_may_write_the_log(system: SecureSite, account: str) -> None:
    async def write_as(user: str, text: bytes) -> None:
        password = system.values[f"KAFKA_{user.upper()}_PASSWORD"]
        cluster = KafkaCluster(
            f"localhost:{system.kafka_port}",
            Tls(str(system.authority("kafka"))),
            Account("PLAIN", user, password),
        )
        publisher = KafkaPublisher(cluster, events_topic(TOPIC, 4))
        try:
            sent = await publisher.send({0: [Message(b"1", text, [], 0)]})
            result = await asyncio.wait_for(sent[0], 30)
            assert result.stored == {0: 1}, result
        finally:
            await publisher.close()

    with pytest.raises(BrokerError, match="Authorization"):
        await write_as(account, b"forged")


class TestARenewedCertificate:
    async def test_is_shown_by_every_process_within_seconds_and_old_connections_go_on(
        self, system: SecureSite
    ) -> None:
        """Those that keep a connection which asks nothing for so long are Core and event server."""
        before = {name: await system.shown_by(name) for name in PROCESSES}
        trust = ssl.create_default_context(cafile=system.authority("http"))
        kept = [
            await asyncio.open_connection(
                LOOPBACK, system.ports[name], ssl=trust, server_hostname=name
            )
            for name in ("core", "events")
        ]
        for reader, writer in kept:
            assert await alive(reader, writer)
        for name in PROCESSES:
            system.renew(name)
        async with asyncio.timeout(WITHIN_S):
            for name in PROCESSES:
                while await system.shown_by(name) == before[name]:  # noqa: ASYNC110  (a process)
                    await asyncio.sleep(0.1)
        for reader, writer in kept:
            assert await alive(reader, writer)
            writer.close()
            await writer.wait_closed()

    @pytest.mark.parametrize("name", ["core", "events", "relay"])
    async def test_that_is_broken_is_told_and_the_one_before_is_shown(
        self, system: SecureSite, name: str
    ) -> None:
        before = await system.shown_by(name)
        file = system.folder / f"secrets/http/{name}.crt"
        good = file.read_bytes()
        file.write_bytes(good[: len(good) // 2])
        try:
            await until_refused(system, name, True)
            assert await system.shown_by(name) == before
            assert "certificate_not_renewed" in system.processes[name].log.read_text()
        finally:
            file.write_bytes(good)
        await until_refused(system, name, False)


async def alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the server answers on this connection."""
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)
    (length,) = re.findall(rb"content-length: (\d+)", head.lower())
    await reader.readexactly(int(length))
    return head.startswith(b"HTTP/1.1 200")


async def until_refused(system: SecureSite, name: str, refused: bool) -> None:
    """Wait until the process's own numbers say so."""
    token = (system.folder / f"secrets/ops-{'' if name == 'core' else 'nodes-'}token").read_text()
    trust = ssl.create_default_context(cafile=system.authority("http"))
    async with (
        asyncio.timeout(WITHIN_S),
        httpx.AsyncClient(verify=trust, trust_env=False, headers=bearer(token)) as client,
    ):
        while True:
            answer = await client.get(f"{system.url(name)}/metrics")
            (state,) = re.findall(r"^yabam_tls_certificate_refused_state (\S+)$", answer.text, re.M)
            if bool(float(state)) is refused:
                return
            await asyncio.sleep(0.1)


def test_nobody_was_denied_what_it_needs_and_no_password_stands_in_a_log(
    system: SecureSite,
) -> None:
    hidden = [value for name, value in system.values.items() if "PASSWORD" in name]
    for process in system.processes.values():
        text = process.log.read_text()
        assert "AuthorizationFailed" not in text, process.name
        assert not [one for one in hidden if one in text], process.name
