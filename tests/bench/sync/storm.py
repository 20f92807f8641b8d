"""Every client syncs at once, again and again: `python -m tests.bench.sync.storm --clients 5000`.

As after an outage, all connect again and ask at the same moment. Some are up to date, some are
three events behind, some start without data. A client that is refused comes back after the time
that Core gives. Each answer is compared with the correct one.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import psutil
import uvloop

from client_sdk.contract.errors import YabamError
from client_sdk.contract.sync import SyncResponse, decode_sync
from core_api.access.callers import Caller
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.systems import Serving, running, token_maker
from tests.bench.sync.wrk import BenchError

OUT: Final = Path("build/storm.json")
EVENTS: Final = 60
"""Events in the channel of each client."""
_BEHIND: Final = (0, 3, None)
"""How many events the clients have missed, in turn; None: they start without data."""
_SERVED_WITHIN_S: Final = 60.0
_CALM_AT_ONCE: Final = 50
"""Enough to open all of Core's connections to the database."""
CALMED_S: Final = 12.0
"""After this time, Core has released the memory of the storm."""
KEEPS_AT_MOST: Final = 0.15
"""By how much of its memory before the storms Core may grow, measured after them."""
_MANY_FILES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Client:
    """One client of the storm, and the request that it sends."""

    store: int
    behind: int | None
    request: bytes

    def check(self, answer: SyncResponse) -> None:
        """Compare the answer with what this client must get.

        Raises:
            BenchError: the answer is wrong.
        """
        (channel,) = answer.channels
        first = EVENTS + 1 if self.behind is None else EVENTS - self.behind + 1
        right = (
            channel.channel == f"store:{self.store}"
            and channel.head == EVENTS
            and channel.reset == ("first_sync" if self.behind is None else None)
            and [event.seq for event in channel.events] == list(range(first, EVENTS + 1))
            and answer.cursor == f"store:{self.store}@{EVENTS}"
            and answer.stream is not None
        )
        if not right:
            raise BenchError(f"a wrong answer for store {self.store}: {answer}")


@dataclass(frozen=True, slots=True)
class Wave:
    """The figures of one storm. Times in seconds, memory in MiB."""

    clients: int
    refused: int
    """Answers with 503, after which the client tried again."""
    p50_s: float
    p99_s: float
    all_s: float
    """How long until the last client was served."""
    core_mib: float
    """Core's resident memory once all clients had left."""


def clients_of(url: str, count: int) -> list[Client]:
    """The clients, each with its own store and token."""
    token = token_maker()
    host = urlsplit(url).netloc
    clients = []
    for store in range(1, count + 1):
        behind = _BEHIND[store % len(_BEHIND)]
        after = "" if behind is None else f"&lastEventId=store:{store}@{EVENTS - behind}"
        bearer = token(Caller(f"pos-{store}", "owner", frozenset({str(store)})))
        request = (
            f"GET /v1/sync?channel=store:{store}{after} HTTP/1.1\r\nhost: {host}\r\n"
            f"authorization: Bearer {bearer}\r\n\r\n"
        )
        clients.append(Client(store, behind, request.encode()))
    return clients


async def storm(url: str, clients: Sequence[Client], core: psutil.Process) -> Wave:
    """Let all clients sync at once, until each has a correct answer.

    Raises:
        BenchError: an answer was wrong.
    """
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_SERVED_WITHIN_S):
            served = await asyncio.gather(*(_sync(url, client) for client in clients))
    except TimeoutError:
        raise BenchError(f"not all were served within {_SERVED_WITHIN_S:g} s") from None
    times = sorted(at - began for at, _ in served)
    return Wave(
        len(clients),
        sum(refused for _, refused in served),
        times[len(times) // 2],
        times[len(times) * 99 // 100],
        times[-1],
        memory_mib(core),
    )


async def _sync(url: str, client: Client) -> tuple[float, int]:
    """When the client was served, and how often it was refused before."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    refused = 0
    try:
        while True:
            writer.write(client.request)
            status, headers, body = await _answer(reader)
            if status == 200:
                served_at = time.perf_counter()
                client.check(decode_sync(body))
                return served_at, refused
            if status != 503:
                raise BenchError(f"store {client.store} was answered {status}: {body!r}")
            refused += 1
            await asyncio.sleep(float(headers["retry-after"]))
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
    }
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, body


def memory_mib(process: psutil.Process) -> float:
    """The process's resident memory."""
    return float(process.memory_info().rss) / 2**20


def allow_many_files() -> None:
    """Raise the limit of open files, and so of connections, for this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass(frozen=True, slots=True)
class Storms:
    """The storms, and Core's resident memory in MiB before and after them."""

    started_mib: float
    """Memory once Core was ready."""
    before_mib: float
    """Memory once Core was calm, knew all clients and had all its database connections."""
    waves: Sequence[Wave]
    after_mib: float
    """Memory once Core was calm again."""

    @property
    def kept(self) -> float:
        """The growth of Core's memory, as a share of the memory before."""
        return self.after_mib / self.before_mib - 1


async def storms(url: str, pid: int, count: int, times: int, calmed_s: float = CALMED_S) -> Storms:
    """Let each client sync in calm, then all at once, again and again.

    They first sync in calm because a working Core always keeps some memory, which is not due to a
    storm: its connections to the database, and the verified token and the bucket of each client.
    """
    core = psutil.Process(pid)
    started = memory_mib(core)
    clients = clients_of(url, count)
    for start in range(0, count, _CALM_AT_ONCE):
        await storm(url, clients[start : start + _CALM_AT_ONCE], core)
    await asyncio.sleep(calmed_s)
    before = memory_mib(core)
    waves = [await storm(url, clients, core) for _ in range(times)]
    await asyncio.sleep(calmed_s)
    return Storms(started, before, waves, memory_mib(core))


def main() -> int:
    """Run the storms and print the figures. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync.storm", description=__doc__)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    allow_many_files()
    with tempfile.TemporaryDirectory(prefix="yabam-storm-") as name:
        postgres = EmbeddedPostgres(Path(name) / "data")
        postgres.start()
        try:
            database = asyncio.run(make_database(postgres, "storm"))
            asyncio.run(fill(database, options.clients, EVENTS))
            core = Serving("yabam", database, Path(name))
            core.start()
            with running([core.process]):
                work = storms(core.url, core.process.pid, options.clients, options.times)
                seen = uvloop.run(work)
        except YabamError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            postgres.stop()
    write(seen, options.out)
    for line in lines_of(seen):
        print(line)
    return 0 if seen.kept <= KEEPS_AT_MOST else 1


def write(seen: Storms, path: Path) -> None:
    """Save the figures for `docs/performance.md`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(seen))


def lines_of(seen: Storms) -> Iterator[str]:
    """The lines of the report."""
    yield f"Core's memory once it was ready: {seen.started_mib:.0f} MiB"
    yield f"Core's memory before the storms, every client known: {seen.before_mib:.0f} MiB"
    for number, wave in enumerate(seen.waves, 1):
        yield (
            f"storm {number}: {wave.clients:,} clients served, none wrong, {wave.refused:,} "
            f"refusals on the way; p50 {wave.p50_s:.2f} s, p99 {wave.p99_s:.2f} s, "
            f"all {wave.all_s:.2f} s; Core {wave.core_mib:.0f} MiB"
        )
    yield (
        f"Core's memory {CALMED_S:g} s later: {seen.after_mib:.0f} MiB, {seen.kept:+.1%} "
        f"(target within {KEEPS_AT_MOST:.0%}: {'met' if seen.kept <= KEEPS_AT_MOST else 'MISSED'})"
    )


if __name__ == "__main__":
    sys.exit(main())
