"""The installation of `deploy/compose.yaml` and `compose.secure.yaml`, with real servers.

It has a Postgres, an Apache Kafka and a Mosquitto with TLS and accounts, nginx with its rules, and
all our processes with the environment that compose gives them. Only ports, folders and host names
are different.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.docker import prepare, probe
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.stack import run_once
from deploy.mqtt.certificates import sign
from deploy.processes.ports import LOOPBACK, free_port
from deploy.processes.process import Process
from tests.deploy.composed import (
    DEPLOY,
    composed,
    environment_of,
    replaced,
    secret_files,
    unlike_any_other,
)
from tests.deploy.edge import Nginx
from tests.deploy.ruled_mosquitto import ruled_mosquitto
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.integration.core_api.conftest import KAFKA_BUILD

PROCESSES: Final = ("core", "relay", "ingest", "events", "mqtt-admin", "mqtt", "webhooks")
_ONCE: Final = ("migrate", "kafka-rights")
_READY_WITHIN_S: Final = 120.0
_POSTGRES_USER: Final = "yabam-postgres"


@dataclass
class SecureSite:
    """The installation."""

    folder: Path
    """The folder with the files that `prepare` has created."""
    values: dict[str, str]
    postgres: DrilledPostgres
    kafka_port: int
    mqtt_port: int
    nginx: Nginx
    ports: dict[str, int]
    processes: dict[str, Process]

    def url(self, name: str) -> str:
        """The address of one of our processes."""
        return f"https://localhost:{self.ports[name]}"

    def authority(self, name: str) -> Path:
        """The certificate of the authority for `http`, `kafka`, `mqtt` or `postgres`."""
        return self.folder / "secrets" / name / "ca.crt"

    def renew(self, name: str) -> None:
        """Replace the certificate of this process by another one of the same authority."""
        sign(self.folder / "secrets/http", name, (name, "localhost", "127.0.0.1"))

    async def shown_by(self, name: str) -> bytes:
        """The certificate that the process presents to a new connection.

        Raises:
            ssl.SSLError: it is not signed by the authority, or has another name.
        """
        trust = ssl.create_default_context(cafile=self.authority("http"))
        _reader, writer = await asyncio.open_connection(
            LOOPBACK, self.ports[name], ssl=trust, server_hostname=name
        )
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return shown

    @property
    def database(self) -> str:
        """The URL of the database, as the processes get it."""
        password = self.values["POSTGRES_PASSWORD"]
        return (
            f"postgresql://yabam:{password}@localhost:{self.postgres.port}/yabam"
            f"?sslmode=verify-full&sslrootcert={self.authority('postgres')}"
        )

    def token(self, role: Any, *stores: str) -> str:
        """An access token that Core accepts."""
        keys = token_keys(json.loads(self.values["YABAM_TOKEN_KEYS"]), "k1")
        return keys.sign(Caller(f"{role}-{'-'.join(stores)}", role, frozenset(stores)), 3600)


@contextmanager
def started(folder: Path) -> Iterator[SecureSite]:
    """The running installation.

    Args:
        folder: a folder that Postgres' user can pass through.
    """
    whole = composed("compose.yaml", "compose.secure.yaml")
    prepare.prepare(folder, "https://localhost", unlike_any_other())
    values = prepare.read(folder / ".env")
    services = whole["services"]
    files = {name: secret_files(whole, folder, service) for name, service in services.items()}
    ports = {name: free_port() for name in PROCESSES}
    postgres = asyncio.run(_database(folder, services["postgres"], files["postgres"], values))
    kafka, kafka_port = _kafka(folder, services["kafka"], files["kafka"], values)
    mqtt_port = free_port()
    given = files["mosquitto"]
    mosquitto = ruled_mosquitto(
        folder / "mosquitto",
        mqtt_port,
        Path(given["/run/secrets/mqtt_certificate"]),
        Path(given["/run/secrets/mqtt_key"]),
        Path(given["/run/secrets/mqtt_rights"]).read_text(),
    )
    nginx = Nginx(
        folder / "nginx",
        [ports["core"]],
        [ports["events"]],
        Path(files["nginx"]["/run/secrets/http_ca"]),
    )
    where = {
        "@postgres:5432": f"@localhost:{postgres.port}",
        "kafka:9092": f"localhost:{kafka_port}",
        "mosquitto:8883": f"localhost:{mqtt_port}",
        "https://localhost/v1/stream": f"{nginx.url}/v1/stream",
    } | {
        f"https://{name}:{probe.PORTS[name]}": f"https://localhost:{port}"
        for name, port in ports.items()
    }
    processes = {}
    for name in (*_ONCE, *PROCESSES):
        environment = {
            key: replaced(value, where | files[name])
            for key, value in environment_of(services[name], values).items()
        }
        if name in PROCESSES:
            own = f"YABAM_{name.upper().replace('-', '_')}"
            environment |= {f"{own}_HOST": LOOPBACK, f"{own}_PORT": str(ports[name])}
        processes[name] = Process(
            name,
            [sys.executable, "-m", "client_sdk.cli", *services[name]["command"]],
            environment,
            folder / "log" / f"{name}.log",
            None,
            starter=FORKED,
        )
    try:
        kafka.start()
        mosquitto.start()
        for name in _ONCE:
            run_once(processes.pop(name))
        for process in processes.values():
            process.start()
        for name, process in processes.items():
            _wait_until_ready(process, ports[name])
        nginx.start()
        yield SecureSite(folder, values, postgres, kafka_port, mqtt_port, nginx, ports, processes)
    finally:
        nginx.stop()
        for process in processes.values():
            process.kill()
        mosquitto.kill()
        kafka.kill()
        postgres.stop_at_once()


def _wait_until_ready(process: Process, port: int) -> None:
    """Wait as compose does, with the container's health check."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not probe.answers(port, secure=True, path="readyz"):
        assert process.exit_status is None, process.log_tail()
        assert time.monotonic() < deadline, f"{process.name}: {process.log_tail()}"
        time.sleep(0.1)


def programs_with_tls() -> Path:
    """The programs of Debian's PostgreSQL, as those of the Python package have no TLS."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert found, "PostgreSQL with TLS is missing: make tools, or apt-get install postgresql"
    return found[-1]


async def _database(
    folder: Path, service: dict[str, Any], files: dict[str, str], values: dict[str, str]
) -> DrilledPostgres:
    """A server that is set up as by the image, and then started as by compose."""
    data = folder / "postgres" / "data"
    first = DrilledPostgres(data, durable=False, programs=programs_with_tls())
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
        shutil.chown(key, _POSTGRES_USER)
    there = {
        "/run/secrets/postgres_certificate": str(certificate),
        "/tmp/server.key": str(key),
        "/etc/yabam/pg_hba.conf": str(rules),
    }
    told = shlex.split(service["command"][-1].replace(";", " "))
    settings = dict(one[2:].split("=", 1) for one in told if one.startswith("-c"))
    server = DrilledPostgres(
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
    """A node with the settings that the image takes from the service's environment."""
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
