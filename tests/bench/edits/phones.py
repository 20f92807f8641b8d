"""Measures the cost of an edit that goes to four phones, from the request to their streams.

Core, relay and event server run as deployed, with the embedded broker. Tables edit their carts at a
fixed rate, and four streams follow each table. It counts the CPU of each process, without what the
process uses when idle, and the events that arrive at the phones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx
import psutil

from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.process import Process
from tests.bench.edits.cases import Fanout
from tests.bench.edits.generator import Assignment, run_generator
from tests.bench.edits.serving import tokens
from tests.bench.sync.systems import KEYS, running, tree_cpu
from tests.bench.sync.wrk import BenchError

TABLES: Final = 50
PHONES: Final = 4
EDITORS: Final = 25
RATE: Final = 400.0
_IDLE_S: Final = 2.0
_ALL_WITHIN_S: Final = 10.0
_EVENT: Final = b"\nevent: document.changed\n"
_HELLO: Final = b"event: hello\n"


class _Phone(asyncio.Protocol):
    """One stream, which counts its events."""

    def __init__(self, request: bytes, tally: _Streams) -> None:
        self._request = request
        self._tally = tally
        self._tail = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send the request when the event server is connected."""
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the stream."""
        seen = self._tail + data
        self._tally.events += seen.count(_EVENT)
        self._tally.hellos += _HELLO in data
        # The kept bytes are too short to contain a mark, so none is counted twice.
        self._tail = seen[1 - len(_EVENT) :]
        self._tally.changed.set()


class _Streams:
    """All phones."""

    def __init__(self) -> None:
        self.events = 0
        self.hellos = 0
        self.changed = asyncio.Event()

    async def open(self, core_url: str) -> None:
        """Sync once for each table, open its streams, and wait until all have answered."""
        loop = asyncio.get_running_loop()
        (token,) = tokens(1)
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
            for table in range(1, TABLES + 1):
                answer = await client.get(f"{core_url}/v1/sync?channel=party:{table}/1")
                stream = answer.raise_for_status().json()["stream"]
                url = urlsplit(stream["url"])
                query = urlencode({"ticket": stream["ticket"]})
                request = (
                    f"GET {url.path}?{query} HTTP/1.1\r\nhost: {url.netloc}\r\n"
                    "accept: text/event-stream\r\n\r\n"
                ).encode()
                for _ in range(PHONES):
                    await loop.create_connection(
                        lambda request=request: _Phone(request, self),  # type: ignore[misc]
                        url.hostname,
                        url.port,
                    )
        await self.reach("hellos", TABLES * PHONES)

    async def reach(self, what: str, count: int) -> None:
        """Wait until the count is reached.

        Raises:
            BenchError: it is not reached in time.
        """
        try:
            async with asyncio.timeout(_ALL_WITHIN_S):
                while getattr(self, what) < count:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise BenchError(f"{getattr(self, what)} of {count} {what} at the phones") from None


async def measure_fanout(
    postgres: EmbeddedPostgres, database: str, folder: Path, seconds: float
) -> Fanout:
    """Start the system, let its tables edit for this many seconds, and stop it.

    Raises:
        BenchError: not every phone got every edit.
    """
    broker = EmbeddedBroker(folder / "broker")
    broker.start()
    stack = Stack(
        Addresses(database, broker.bootstrap, ports=free_ports()),
        KEYS,
        folder,
        {"YABAM_EVENTS_FETCH_WAIT_MS": "10"},
    )
    servers = [stack.core, stack.relay, stack.events]
    with running([*servers, broker.process]):
        for server in servers:
            server.start()
        for server in servers:
            await asyncio.to_thread(server.wait_ready, 30)
        streams = _Streams()
        await streams.open(stack.core_url)
        watched = {"Core": stack.core, "relay": stack.relay, "event server": stack.events}
        return await _count(streams, watched, postgres, stack.core_url, seconds)


async def _count(
    streams: _Streams,
    servers: Mapping[str, Process],
    postgres: EmbeddedPostgres,
    core_url: str,
    seconds: float,
) -> Fanout:
    idle_from = _cpu(servers, postgres)
    await asyncio.sleep(_IDLE_S)
    before, began = _cpu(servers, postgres), time.monotonic()
    idle = {name: (before[name] - idle_from[name]) / _IDLE_S for name in before}
    work = Assignment(
        core_url, tokens(EDITORS), "phones", "line", TABLES, PHONES, seconds, rate=RATE
    )
    told = await asyncio.to_thread(run_generator, work)
    # An edit that changes nothing makes no version and no event.
    await streams.reach("events", sum(told.versions.values()) * PHONES)
    took = time.monotonic() - began
    after = _cpu(servers, postgres)
    used = {name: after[name] - before[name] - idle[name] * took for name in after}
    return Fanout(
        told.load.req_s, TABLES, PHONES, told.edits, streams.events,
        {name: cpu / told.edits * 1e6 for name, cpu in used.items()},
    )  # fmt: skip


def _cpu(servers: Mapping[str, Process], postgres: EmbeddedPostgres) -> dict[str, float]:
    found = {name: _own(server) for name, server in servers.items()}
    return found | {"Postgres": tree_cpu(postgres.process.pid)}


def _own(server: Process) -> float:
    times = psutil.Process(server.pid).cpu_times()
    return times.user + times.system
