"""One complete installation on this machine, with a fault proxy on each connection between parts.

    clients ──▶ front of Core ──▶ core, core-2 ──▶ database's proxy ──▶ PostgreSQL
       └──────▶ front of events ─▶ events, events-2 ─▶ Kafka's proxy for them ──▶ Apache Kafka
                                   relay, relay-2, ingest ─▶ their proxy of Kafka ──▲
    relay-2 ──▶ a database's proxy of its own

Both fronts balance the load, as in a real installation. PostgreSQL has a separate disk if one can
be mounted. For devices there are an MQTT broker and two gateways (`kitchen/door.py`), for webhooks
two senders. Three nodes of Kafka have no proxy: their faults are those of the nodes. A PostgreSQL
that fails over has none either: each process has a URL with two hosts, and the scenario starts a
standby at the second one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
import httpx

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import YabamError
from core_api.access.callers import Caller, Role
from core_api.wiring import token_keys
from deploy.kafka.server import KafkaServer
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Keys, Stack, free_ports
from deploy.local.webhook_sender import LOOPBACK as TO_THIS_MACHINE
from deploy.local.webhook_sender import add_sender
from deploy.processes.ports import LOOPBACK, free_port
from deploy.processes.process import Process, Starter, execute
from tests.chaos.disk import Disk
from tests.chaos.kitchen.door import Door
from tests.chaos.proof import Ledger
from tests.chaos.wire import FaultProxy
from tests.drilled_postgres import DrilledPostgres
from tests.kafka_cluster import KafkaCluster
from tests.parts import FETCH_WAIT

DATABASE: Final = "yabam"
_STARTED_WITHIN_S: Final = 240.0
"""Long, as a dozen processes start at once, and no scenario is about the first start."""
_READY_WITHIN_S: Final = 60.0
_KEYS: Final = Keys(
    token=f"chaos-token-key-{'t' * 32}",
    ticket=f"chaos-ticket-key-{'t' * 32}",
    devices=f"chaos-devices-key-{'t' * 32}",
    webhooks=f"chaos-webhooks-key-{'t' * 32}",
    push="p" * 43,
)
_PUSHED_SOON: Final = {"YABAM_PUSH_AFTER_S": "2"}
"""The least: a phone is told of an order that no terminal has had for so many seconds."""
_SENDERS: Final = ("webhooks", "webhooks-2")

T = TypeVar("T")


class Site:
    """The installation.

    Args:
        folder: for data and logs; other users must be able to enter it.
        libs: Apache Kafka's jars; None: the embedded broker, which can have no proxy.
        settings: more settings (`YABAM_…`) for all processes.
        nodes: the number of Kafka's nodes.
        own_disk: whether PostgreSQL gets a small separate disk, if we may mount one.
        devices: whether there are an MQTT broker and gateways.
        webhooks: whether there are senders of webhooks, which may send to this machine.
        fails_over: whether PostgreSQL has a second host, for a standby.
        starter: starts the processes.
    """

    def __init__(
        self,
        folder: Path,
        libs: Path | None,
        settings: Mapping[str, str],
        *,
        nodes: int = 1,
        own_disk: bool = False,
        devices: bool = False,
        webhooks: bool = False,
        fails_over: bool = False,
        starter: Starter = execute,
    ) -> None:
        self.folder = folder
        self._starter = starter
        self.disk = Disk(folder / "disk")
        self._own_disk = own_disk
        self.postgres = DrilledPostgres(folder / "disk" / "postgres")
        self.database = self.postgres.url.rpartition("/")[0] + f"/{DATABASE}"
        self._fails_over = fails_over
        self.other_host = free_port()
        """The port of the second host: free, or a standby's."""
        if fails_over:
            hosts = f"{LOOPBACK}:{self.postgres.port},{LOOPBACK}:{self.other_host}"
            self.database = f"postgresql://postgres@{hosts}/{DATABASE}?target_session_attrs=primary"
        self.ledger = Ledger(self.database)
        ports = free_ports()
        second = {kind: free_port() for kind in ("core", "relay", "events")}
        self.core_front = FaultProxy(free_port(), [ports.core, second["core"]], balancing=True)
        self.events_front = FaultProxy(
            free_port(), [ports.events, second["events"]], balancing=True
        )
        self.database_wire = FaultProxy(free_port(), [self.postgres.port])
        self.relay_2_database_wire = FaultProxy(free_port(), [self.postgres.port])
        relay_door, events_door = free_port(), free_port()
        self.kafka_wire = FaultProxy(free_port(), [relay_door])
        self.events_kafka_wire = FaultProxy(free_port(), [events_door])
        self.kafka: KafkaServer | None = None
        self.cluster: KafkaCluster | None = None
        self.broker: EmbeddedBroker | None = None
        if libs is not None and nodes > 1:
            self.cluster = KafkaCluster(folder / "kafka", libs, nodes)
        elif libs is not None:
            self.kafka = KafkaServer(
                folder / "kafka",
                libs,
                doors={
                    "RELAY": (relay_door, self.kafka_wire.port),
                    "EVENTS": (events_door, self.events_kafka_wire.port),
                },
            )
        else:
            self.broker = EmbeddedBroker(folder)
        self.door = Door(folder / "mqtt") if devices else None
        self._ports, self._second, self._settings = ports, second, dict(settings)
        self._webhooks = webhooks
        if webhooks:
            self._settings |= TO_THIS_MACHINE | _PUSHED_SOON
        self.stack: Stack

    @property
    def proxies(self) -> list[FaultProxy]:
        """All fault proxies."""
        return [
            self.core_front,
            self.events_front,
            self.database_wire,
            self.relay_2_database_wire,
            self.kafka_wire,
            self.events_kafka_wire,
        ]

    @property
    def core_url(self) -> str:
        """Core's address for clients, through its proxy."""
        return f"http://{LOOPBACK}:{self.core_front.port}"

    @property
    def bootstrap(self) -> str:
        """Kafka's address, without a proxy."""
        return self._kafka.bootstrap

    @property
    def _kafka(self) -> KafkaServer | KafkaCluster | EmbeddedBroker:
        server = self.kafka or self.cluster or self.broker
        assert server is not None
        return server

    def token(self, subject: str, role: Role, *stores: str, brand: str | None = None) -> str:
        """An access token for these stores (`*`: all), or for this brand."""
        keys = token_keys({"local": _KEYS.token}, "local")
        return keys.sign(Caller(subject, role, frozenset(stores), brand=brand), 86_400)

    def guest_token(self, store: str, table: str) -> str:
        """A guest's access token for one table."""
        keys = token_keys({"local": _KEYS.token}, "local")
        channel = parse_channel(f"table:{store}/{table}")
        return keys.sign(Caller(f"guest-{store}-{table}", "table", frozenset(), channel), 86_400)

    async def start(self) -> None:
        """Start everything and return once all is ready."""
        _allow_open_files()
        if self._own_disk:
            await aside(self.disk.mount)
        await asyncio.gather(aside(self.postgres.start), aside(self._kafka.start))
        await self._create_database()
        for proxy in self.proxies:
            await proxy.start()
        if self.door is not None:
            await self.door.start()
        self.stack = self._make_stack()
        await aside(self.stack.migrate)
        await aside(partial(self.stack.start, _STARTED_WITHIN_S))

    async def stop(self) -> None:
        """Stop everything."""
        for proxy in self.proxies:
            proxy.clear()
        with contextlib.suppress(AttributeError):
            for process in self.stack.processes:
                process.resume()
            await asyncio.gather(*(aside(process.stop) for process in self.stack.processes))
        for proxy in self.proxies:
            await proxy.stop()
        if self.door is not None:
            await self.door.stop()
        self.postgres.process.resume()
        if self.kafka is not None:
            self.kafka.process.resume()
        await asyncio.gather(aside(self._kafka.stop), aside(self.postgres.stop))
        await aside(self.disk.unmount)

    def failed_over(self, standby: DrilledPostgres) -> None:
        """Record that this standby is the primary now, and that the other host is free."""
        self.other_host, self.postgres = self.postgres.port, standby

    def process(self, name: str) -> Process:
        """The process with this name, such as `relay-2`."""
        return next(p for p in self.stack.processes if p.name == name)

    async def ready(self, *processes: Process) -> None:
        """Wait until these processes are ready."""
        waits = [partial(process.wait_ready, _READY_WITHIN_S) for process in processes]
        await asyncio.gather(*(aside(wait) for wait in waits))

    async def heal(self) -> list[str]:
        """End all faults, and start the processes that have ended.

        Returns which ones had ended by themselves, with their last log lines, and which ones do not
        start again.
        """
        words = []
        for proxy in self.proxies:
            proxy.clear()
            await proxy.start()
        if self.door is not None:
            await self.door.heal()
        await aside(self.disk.free)
        for server in (self.postgres, self.kafka):
            if server is not None:
                server.process.resume()
                if not server.process.running:
                    await aside(server.start)
        if self.cluster is not None:
            self.cluster.resume()
            await aside(self.cluster.start)
        for process in self.stack.processes:
            process.resume()
        dead = [p for p in self.stack.processes if p.exit_status is not None]
        words += [f"{p.name} ended by itself: {_last_words(p)}" for p in dead]
        for process in dead:
            process.start()
        try:
            await self.ready(*dead)
        except YabamError as error:
            words.append(str(error).splitlines()[0])
        return words

    async def metric(self, process: Process, name: str, label: str = "") -> float:
        """The sum of a process's metric over all labels, or over those that contain `label`."""
        headers = {"authorization": f"Bearer {self.token('ops', 'ops')}"}
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"{process.health_url}/metrics", headers=headers)
        return sum(
            float(line.rpartition(" ")[2])
            for line in answer.text.splitlines()
            if line.startswith((f"{name} ", f"{name}{{")) and label in line
        )

    async def metrics(self, kind: str, name: str, label: str = "") -> float:
        """The sum of a metric over all processes of a kind."""
        those = [p for p in self.stack.processes if p.name.partition("-")[0] == kind]
        return sum([await self.metric(process, name, label) for process in those])

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.postgres.url)
        try:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    def _make_stack(self) -> Stack:
        def database_through(wire: FaultProxy) -> str:
            if self._fails_over:
                return self.database
            return self.database.replace(f":{self.postgres.port}/", f":{wire.port}/")

        kafka, events_kafka = self.bootstrap, self.bootstrap
        settings = {
            "YABAM_STREAM_URL": f"http://{LOOPBACK}:{self.events_front.port}/v1/stream",
        } | self._settings
        if self.kafka is not None:
            kafka = f"{LOOPBACK}:{self.kafka_wire.port}"
            events_kafka = f"{LOOPBACK}:{self.events_kafka_wire.port}"
        else:
            settings |= FETCH_WAIT
        stack = Stack(
            Addresses(database_through(self.database_wire), kafka, ports=self._ports),
            _KEYS,
            self.folder,
            settings,
            {
                "events": {"YABAM_KAFKA": events_kafka},
                "events-2": {"YABAM_KAFKA": events_kafka},
                "relay-2": {"YABAM_DATABASE_URL": database_through(self.relay_2_database_wire)},
            },
            starter=self._starter,
        )
        stack.add("core", self._second["core"])
        stack.add("relay", self._second["relay"])
        stack.add("events", self._second["events"])
        if self.door is not None:
            self.door.add_to(stack)
        if self._webhooks:
            for name in _SENDERS:
                add_sender(stack, free_port(), name)
        return stack


def _last_words(process: Process) -> str:
    return (process.log_tail().splitlines() or ["nothing"])[-1].strip()


async def aside(work: Callable[[], T]) -> T:
    """Do blocking work in a thread, as the clients run on this event loop."""
    return await asyncio.to_thread(work)


def _allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def log_lines(process: Process, event: str) -> list[dict[str, object]]:
    """The log lines of a process with this event name."""
    if not process.log.exists():
        return []
    lines = process.log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if f'"{event}"' in line and line.startswith("{")]
