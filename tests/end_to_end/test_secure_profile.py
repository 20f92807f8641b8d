"""What `deploy/compose.secure.yaml` sets, on real servers: a Postgres and an Apache Kafka with TLS
and accounts, and the processes with the very environment that compose gives them.

Only ports, folders and the names of hosts are those of this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from client_sdk.contract.sse import SseEvent, SseParser
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.docker import prepare
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process
from deploy.local.stack import run_once
from tests.deploy.composed import (
    DEPLOY,
    composed,
    environment_of,
    replaced,
    secret_files,
    unlike_any_other,
)
from tests.integration.core_api.conftest import KAFKA_BUILD
from tests.integration.core_service import an_order, bearer

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("secure-kafka")]
WITHIN_S: Final = 60.0
PROCESSES: Final = ("core", "relay", "ingest", "events")
POSTGRES_USER: Final = "yabam-postgres"


@dataclass
class Secure:
    """The installation."""

    folder: Path
    """With what `prepare` made."""
    values: dict[str, str]
    postgres: EmbeddedPostgres
    kafka_port: int
    processes: dict[str, Process]

    @property
    def core_url(self) -> str:
        return str(self.processes["core"].health_url)

    @property
    def database(self) -> str:
        """As the processes are given it."""
        password = self.values["POSTGRES_PASSWORD"]
        authority = self.folder / "secrets/postgres/ca.crt"
        return (
            f"postgresql://yabam:{password}@localhost:{self.postgres.port}/yabam"
            f"?sslmode=verify-full&sslrootcert={authority}"
        )

    def token(self, role: Any, *stores: str) -> str:
        keys = token_keys(json.loads(self.values["YABAM_TOKEN_KEYS"]), "k1")
        return keys.sign(Caller(f"{role}-{'-'.join(stores)}", role, frozenset(stores)), 3600)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Postgres' own user may pass through, which pytest's are not."""
    made = Path(tempfile.mkdtemp(prefix="yabam-secure-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[Secure]:
    whole = composed("compose.yaml", "compose.secure.yaml")
    prepare.prepare(folder, "https://localhost", unlike_any_other())
    values = prepare.read(folder / ".env")
    files = secret_files(whole, folder)
    postgres = asyncio.run(_database(folder, whole["services"]["postgres"], files, values))
    kafka, kafka_port = _kafka(folder, whole["services"]["kafka"], files, values)
    where = files | {
        "@postgres:5432": f"@localhost:{postgres.port}",
        "kafka:9092": f"localhost:{kafka_port}",
    }
    ports = {name: free_port() for name in PROCESSES}
    streams = {"YABAM_STREAM_URL": f"http://{LOOPBACK}:{ports['events']}/v1/stream"}
    processes = {}
    for name in ("migrate", *PROCESSES):
        environment = environment_of(whole["services"][name], values)
        environment = {key: replaced(value, where) for key, value in environment.items()}
        own = {} if name == "migrate" else {
            f"YABAM_{name.upper()}_HOST": LOOPBACK, f"YABAM_{name.upper()}_PORT": str(ports[name])
        }  # fmt: skip
        if name == "core":
            own |= streams
        processes[name] = Process(
            name,
            [sys.executable, "-m", "client_sdk.cli", *whole["services"][name]["command"]],
            environment | own,
            folder / "log" / f"{name}.log",
            None if name == "migrate" else f"http://{LOOPBACK}:{ports[name]}",
        )
    try:
        kafka.start()
        run_once(processes.pop("migrate"))
        for process in processes.values():
            process.start()
        for process in processes.values():
            process.wait_ready(120)
        yield Secure(folder, values, postgres, kafka_port, processes)
    finally:
        for process in processes.values():
            process.kill()
        kafka.kill()
        postgres.stop_at_once()


def programs_with_tls() -> Path:
    """Debian's PostgreSQL, as that of the wheel was built without TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert found, "PostgreSQL with TLS is missing: make tools, or apt-get install postgresql"
    return found[-1]


async def _database(
    folder: Path, service: dict[str, Any], files: dict[str, str], values: dict[str, str]
) -> EmbeddedPostgres:
    """A server that was made as the image makes it, and then started as compose starts it."""
    data = folder / "postgres" / "data"
    first = EmbeddedPostgres(data, durable=False, programs=programs_with_tls())
    await asyncio.to_thread(first.start)
    admin = await asyncpg.connect(first.url)
    password = values["POSTGRES_PASSWORD"]
    await admin.execute(f"CREATE ROLE yabam LOGIN SUPERUSER PASSWORD '{password}'")
    await admin.execute("CREATE DATABASE yabam OWNER yabam")
    await admin.close()
    await asyncio.to_thread(first.stop)
    key = folder / "postgres" / "server.key"
    certificate = folder / "postgres" / "server.crt"
    rules = folder / "postgres" / "pg_hba.conf"
    shutil.copyfile(files["/run/secrets/postgres_key"], key)
    shutil.copyfile(files["/run/secrets/postgres_certificate"], certificate)
    shutil.copyfile(DEPLOY / "postgres/pg_hba.conf", rules)
    key.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(key, POSTGRES_USER)
    there = {
        "/run/secrets/postgres_certificate": str(certificate),
        "/tmp/server.key": str(key),
        "/etc/yabam/pg_hba.conf": str(rules),
    }
    told = shlex.split(service["command"][-1].replace(";", " "))
    settings = dict(one[2:].split("=", 1) for one in told if one.startswith("-c"))
    server = EmbeddedPostgres(
        data,
        durable=False,
        settings={k: there.get(v, v) for k, v in settings.items()},
        programs=programs_with_tls(),
    )
    await asyncio.to_thread(server.start)
    return server


def _kafka(
    folder: Path, service: dict[str, Any], files: dict[str, str], values: dict[str, str]
) -> tuple[KafkaServer, int]:
    """A node with the settings that the image makes of the service's environment."""
    environment = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): replaced(value, files)
        for name, value in environment_of(service, values).items()
        if name.startswith("KAFKA_")
    }
    ours = ("listeners", "advertised.listeners", "process.roles", "node.id", "log.dirs",
            "heap.opts", "controller.quorum.voters")  # fmt: skip
    settings = {name: value for name, value in environment.items() if name not in ours}
    protocols = settings["listener.security.protocol.map"]
    settings["listener.security.protocol.map"] = f"PLAINTEXT:PLAINTEXT,{protocols}"
    port = free_port()
    libs = ensure_libs(KAFKA_BUILD, print)
    doors = {"ACCOUNTS": (port, port)}
    return KafkaServer(folder / "kafka", libs, settings=settings, doors=doors), port


async def sent_by(response: httpx.Response) -> AsyncIterator[SseEvent]:
    parser = SseParser()
    async for part in response.aiter_bytes():
        for event in parser.feed(part):
            yield event


async def test_an_order_reaches_who_streams(system: Secure) -> None:
    async with (
        httpx.AsyncClient(base_url=system.core_url, trust_env=False, timeout=30) as http,
        asyncio.timeout(WITHIN_S),
    ):
        headers = bearer(system.token("owner", "91"))
        synced = await http.get("/v1/sync?channel=store:91", headers=headers)
        grant = synced.json()["stream"]
        async with http.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            events = sent_by(stream)
            assert (await anext(events)).type == "hello"
            placed = await http.post("/v1/orders", json=an_order("91"), headers=headers)
            assert placed.status_code == 201
            while (event := await anext(events)).type != "order.placed":
                pass
            assert placed.json()["id"] in event.data


async def test_every_connection_to_postgres_is_encrypted(system: Secure) -> None:
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
    system: Secure,
) -> None:
    plain = system.database.partition("?")[0]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await asyncpg.connect(plain, ssl=False)
    other = system.database.replace(system.values["POSTGRES_PASSWORD"], "another")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(other)


async def test_a_postgres_of_another_authority_or_name_is_not_believed(system: Secure) -> None:
    other = system.database.replace("secrets/postgres/ca.crt", "secrets/kafka/ca.crt")
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(other)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname mismatch"):
        # Another way to write this machine's address, of which the certificate knows nothing.
        await asyncpg.connect(system.database.replace("@localhost:", "@127.1:"))


async def test_kafka_lets_nobody_in_without_tls_and_an_account(system: Secure) -> None:
    authority = ssl.create_default_context(cafile=system.folder / "secrets/kafka/ca.crt")
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


def test_no_password_stands_in_a_log(system: Secure) -> None:
    hidden = [value for name, value in system.values.items() if "PASSWORD" in name]
    for process in system.processes.values():
        text = process.log.read_text()
        assert not [one for one in hidden if one in text], process.name
