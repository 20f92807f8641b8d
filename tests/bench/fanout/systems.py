"""The systems that are compared: each started as a process, with a way to publish to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import httpx
from aiokafka import AIOKafkaProducer

from client_sdk.contract.record import (
    OrderRecord,
    WatermarkRecord,
    encode_order_record,
    encode_watermark_record,
)
from client_sdk.contract.ticket import Ticket, TicketKeys
from core_api.topics import ensure_topics, events_topic
from deploy.local.ports import free_port

DATA_BYTES = 600
EPOCH = "01M7Y0RVFX7GQRHXE522T5TA8A"
KEYS = TicketKeys({"t1": b"k" * 32}, "t1")
_FILLER = "x" * (DATA_BYTES - 40)
NGINX_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


def line() -> str:
    """An event's data, with the time of this moment."""
    return json.dumps({"t": time.time_ns(), "x": _FILLER}, separators=(",", ":"))


class System(Protocol):
    """One server under test; `channel` is a number."""

    name: str
    port: int
    deliveries_per_s: int
    """How quickly it is given work: what it can keep up with on one core."""

    @abstractmethod
    async def start(self) -> None:
        """Start it, and return once it serves."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Its processes, whose CPU time and memory count."""

    @abstractmethod
    def request(self, channel: int) -> bytes:
        """The head of a subscriber's request."""

    @abstractmethod
    async def publish(self, channels: Sequence[int]) -> None:
        """One event to each of these channels."""

    @abstractmethod
    async def stop(self) -> None:
        """End it."""


def get(target: str, port: int) -> bytes:
    """A request head."""
    head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
    return head.encode()


async def serves(url: str, within_s: float = 30.0) -> None:
    """Return once the address answers 200."""
    async with httpx.AsyncClient() as client, asyncio.timeout(within_s):
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


class Child:
    """A process that ends with us."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *command: str, **environment: str) -> None:
        """Start it."""
        self.process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    async def stop(self) -> None:
        """Kill it."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class Yabam:
    """This event server, fed by a real Kafka."""

    name = "yabam"
    deliveries_per_s = 60_000

    def __init__(self, kafka: str, streams: int) -> None:
        self.port = free_port()
        self._kafka = kafka
        self._streams = streams
        self._topic = f"bench-{time.time_ns()}"
        self._child = Child()
        self._seqs: dict[int, int] = {}
        self.producer: AIOKafkaProducer | None = None
        self._marking: asyncio.Task[None] | None = None

    @property
    def topic(self) -> str:
        """Where its events come from."""
        return self._topic

    async def start(self) -> None:
        await ensure_topics(self._kafka, [events_topic(self._topic, 1)], 10)
        self.producer = AIOKafkaProducer(bootstrap_servers=self._kafka, linger_ms=0)
        await self.producer.start()
        self._marking = asyncio.create_task(self._mark())
        await self._child.start(
            sys.executable, "-m", "client_sdk.cli", "events",
            YABAM_KAFKA=self._kafka,
            YABAM_EVENTS_TOPIC=self._topic,
            YABAM_PARTITIONS="1",
            YABAM_EVENTS_PORT=str(self.port),
            YABAM_EVENTS_MAX_STREAMS=str(self._streams + 100),
            YABAM_EVENTS_LIFETIME_MIN_S="3600",
            YABAM_EVENTS_LIFETIME_MAX_S="3600",
            YABAM_EVENTS_DEGRADED_AFTER_S="60",
            YABAM_TICKET_KEYS=json.dumps({"t1": "k" * 32}),
            YABAM_TICKET_KID="t1",
            YABAM_TOKEN_KEYS=json.dumps({"a1": "a" * 32}),
        )  # fmt: skip
        await serves(f"http://127.0.0.1:{self.port}/readyz")

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        now = time.time()
        cursor = {f"store:{channel}": self._seqs.get(channel, 0)}
        ticket = KEYS.sign(Ticket(EPOCH, cursor, now, now + 300, "bench"))
        return get(f"/v1/stream?ticket={ticket}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        assert self.producer is not None
        batch = self.producer.create_batch()
        for channel in channels:
            seq = self._seqs[channel] = self._seqs.get(channel, 0) + 1
            name, when = f"store:{channel}@{seq}", "2026-11-21T00:00:00Z"
            record = OrderRecord(EPOCH, "order.placed", when, (name,), (line().encode(),))
            value, headers = encode_order_record(record)
            stamp = int(time.time() * 1000)
            batch.append(key=b"s", value=value, timestamp=stamp, headers=headers)
        batch.close()
        await self.producer.send_batch(batch, self._topic, partition=0)

    async def stop(self) -> None:
        if self._marking is not None:
            self._marking.cancel()
        await self._child.stop()
        if self.producer is not None:
            await self.producer.stop()

    async def _mark(self) -> None:
        assert self.producer is not None
        while True:
            batch = self.producer.create_batch()
            mark = encode_watermark_record(WatermarkRecord(EPOCH, time.time()))
            stamp = int(time.time() * 1000)
            batch.append(key=None, value=None, timestamp=stamp, headers=mark)
            batch.close()
            await self.producer.send_batch(batch, self._topic, partition=0)
            await asyncio.sleep(1)


class SseStarlette:
    """The plain way: a generator and a queue for each client, by sse-starlette on uvicorn."""

    name = "sse-starlette"
    deliveries_per_s = 20_000

    def __init__(self) -> None:
        self.port = free_port()
        self._child = Child()
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    async def start(self) -> None:
        module = "tests.bench.fanout.plain:app"
        await self._child.start(
            sys.executable, "-m", "uvicorn", module, "--port", str(self.port),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--backlog", "4096",
        )  # fmt: skip
        await serves(f"http://127.0.0.1:{self.port}/ready")

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        return get(f"/stream?channel={channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for channel in channels:
            await self._http.post("/publish", params={"channel": channel}, content=line())

    async def stop(self) -> None:
        await self._http.aclose()
        await self._child.stop()


class Nchan:
    """nginx with Nchan, one worker, published to over HTTP."""

    name = "nchan"
    deliveries_per_s = 60_000

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder / f"nchan-{self.port}"
        self._child = Child()
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @staticmethod
    def is_installed() -> bool:
        """Whether Debian's packages are there."""
        return shutil.which("nginx") is not None and NGINX_MODULE.exists()

    async def start(self) -> None:
        self._folder.mkdir(parents=True)
        config = self._folder / "nginx.conf"
        config.write_text(
            f"""
load_module {NGINX_MODULE};
worker_processes 1; daemon off; pid {self._folder}/pid; user root;
error_log {self._folder}/error.log;
worker_rlimit_nofile 65536;
events {{ worker_connections 40000; }}
http {{
    access_log off; client_body_temp_path {self._folder}/body;
    proxy_temp_path {self._folder}/p; fastcgi_temp_path {self._folder}/f;
    uwsgi_temp_path {self._folder}/u; scgi_temp_path {self._folder}/s;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096; keepalive_timeout 3600;
        location /stream {{ nchan_subscriber eventsource; nchan_channel_id $arg_channel;
                            nchan_subscribe_existing_channels_only off; }}
        location /publish {{ nchan_publisher; nchan_channel_id $arg_channel;
                             nchan_message_buffer_length 1000; }}
        location /ready {{ return 200; }}
    }}
}}
"""
        )
        await self._child.start("nginx", "-c", str(config))
        await serves(f"http://127.0.0.1:{self.port}/ready")

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def request(self, channel: int) -> bytes:
        return get(f"/stream?channel={channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        for channel in channels:
            await self._http.post("/publish", params={"channel": channel}, content=line())

    async def stop(self) -> None:
        await self._http.aclose()
        # The workers hold the master's output open: it is only over once all are gone.
        for pid in (self._child.pid, *self.pids()):
            os.kill(pid, signal.SIGKILL)
        await self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class CSend:
    """The limit: a C loop of send()."""

    name = "c-send"
    deliveries_per_s = 60_000

    def __init__(self, program: Path, connections: int) -> None:
        self.port = free_port()
        self._program = program
        self._connections = connections
        self._child = Child()

    async def start(self) -> None:
        await self._child.start(str(self._program), str(self.port), str(self._connections))
        await self._answer()

    def pids(self) -> list[int]:
        return [self._child.pid]

    def request(self, channel: int) -> bytes:
        return get(f"/{channel}", self.port)

    async def publish(self, channels: Sequence[int]) -> None:
        process = self._child.process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(b"%d\n" % len(channels))
        await self._answer()

    async def stop(self) -> None:
        await self._child.stop()

    async def _answer(self) -> None:
        assert self._child.process is not None
        assert self._child.process.stdout is not None
        await self._child.process.stdout.readline()
