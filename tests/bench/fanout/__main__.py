"""Compares what a push costs: `python -m tests.bench.fanout` (`make bench`).

Each system serves the same subscribers (a C program) with events of the same size. CPU is that of
the server's processes alone, kernel time included; the subscribers and the publisher do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.kafka.server import KafkaServer, ensure_libs
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds, private_kib
from tests.bench.fanout.systems import CSend, Nchan, SseStarlette, System, Yabam

LATENCY_EVENTS_PER_S = 500
LATENCY_S = 8.0
Row = dict[str, Any]


async def fan_out(system: System, program: Path, folder: Path, n: int, deliveries: int) -> Row:
    """One channel with `n` subscribers: the costs of connecting, of idling and of a delivery."""
    await system.start()
    subscribers = Subscribers(program, system.port, [system.request(0)] * n, folder)
    try:
        pids = system.pids()
        memory, cpu = private_kib(pids), cpu_seconds(pids)
        await subscribers.connect()
        per_connect = (cpu_seconds(pids) - cpu) / n
        await asyncio.sleep(2)
        per_connection = (private_kib(pids) - memory) / n
        idle, began = cpu_seconds(pids), time.monotonic()
        await asyncio.sleep(3)
        idle_rate = (cpu_seconds(pids) - idle) / (time.monotonic() - began)
        rounds = max(5, deliveries // n)
        cpu, began = cpu_seconds(pids), time.monotonic()
        for _ in range(rounds):
            await system.publish([0])
            await asyncio.sleep(n / system.deliveries_per_s)
        came = await subscribers.gather(n * rounds, 60)
        spent = cpu_seconds(pids) - cpu - idle_rate * (time.monotonic() - began)
        if came.events != n * rounds or came.closed:
            raise RuntimeError(f"{system.name}: {came} of {n * rounds} events came")
    finally:
        await subscribers.close()
        await system.stop()
    return {
        "system": system.name,
        "connections": n,
        "cpu_us_per_delivery": spent / (n * rounds) * 1e6,
        "cpu_us_per_connect": None if isinstance(system, CSend) else per_connect * 1e6,
        "kib_per_connection": None if isinstance(system, CSend) else per_connection,
    }


async def latency(system: System, program: Path, folder: Path, n: int, kafka: str) -> Row:
    """Two subscribers per channel at 500 events a second: how long an event is under way."""
    await system.start()
    requests = [system.request(1 + number // 2) for number in range(n)]
    subscribers = Subscribers(program, system.port, requests, folder)
    bare: asyncio.Task[list[float]] | None = None
    try:
        await subscribers.connect()
        await asyncio.sleep(2)
        if isinstance(system, Yabam):
            bare = asyncio.create_task(bare_consumer(kafka, system.topic))
            await asyncio.sleep(1)
        await subscribers.mark()
        count, began = int(LATENCY_EVENTS_PER_S * LATENCY_S), time.monotonic()
        for number in range(count):
            await system.publish([1 + number % (n // 2)])
            await asyncio.sleep(max(0.0, began + number / LATENCY_EVENTS_PER_S - time.monotonic()))
        await asyncio.sleep(1.5)
        came = await subscribers.mark()
        if came.events != count * 2:
            raise RuntimeError(f"{system.name}: {came} of {count * 2} events came")
    finally:
        await subscribers.close()
        await system.stop()
    row: Row = {"p50_ms": came.p50_ms, "p99_ms": came.p99_ms}
    if bare is not None:
        bare.cancel()
        waits = sorted((await asyncio.gather(bare))[0])
        row["bare_p50_ms"] = waits[len(waits) // 2] * 1e3
        row["bare_p99_ms"] = waits[int(len(waits) * 0.99)] * 1e3
    return row


async def bare_consumer(kafka: str, topic: str) -> list[float]:
    """How long events take to an aiokafka consumer that does nothing else, in seconds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, fetch_max_wait_ms=100)
    waits: list[float] = []
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        await consumer.end_offsets([part])
        consumer.assign([part])
        await consumer.seek_to_end(part)
        while True:
            record = await consumer.getone()
            if record.value is not None:
                waits.append(time.time() - json.loads(record.value)["t"] / 1e9)
    except asyncio.CancelledError:
        pass
    finally:
        await consumer.stop()
    return waits


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace, kafka: str, folder: Path) -> None:
        self._options = options
        self._kafka = kafka
        self._folder = folder
        build = Path("build/bench")
        self._subscribers = compiled("subscribers", build)
        self._sends = compiled("sends", build)

    def systems(self, n: int) -> list[Callable[[], System]]:
        """What is compared."""
        made: list[Callable[[], System]] = [
            lambda: Yabam(self._kafka, n),
            SseStarlette,
            lambda: CSend(self._sends, n),
        ]
        if Nchan.is_installed():
            made.insert(2, lambda: Nchan(self._folder))
        else:
            print("nchan is not installed: make bench-setup", flush=True)
        return made

    async def compare(self, n: int) -> list[Row]:
        """The median row of each system."""
        rounds: dict[str, list[Row]] = {}
        for number in range(self._options.rounds):
            for make in self.systems(n):
                system = make()
                print(f"  {n:,} connections, round {number + 1}: {system.name}", flush=True)
                row = await fan_out(
                    system, self._subscribers, self._folder, n, self._options.deliveries
                )
                rounds.setdefault(system.name, []).append(row)
        rows = [_median(found) for found in rounds.values()]
        for make, row in zip(self.systems(n), rows, strict=True):
            if row["system"] != "c-send":
                row |= await latency(make(), self._subscribers, self._folder, n, self._kafka)
            else:
                row |= {"p50_ms": None, "p99_ms": None}
        return rows

    async def scale(self) -> list[tuple[int, float, float]]:
        """This server's cost per delivery, and the limit's, as connections grow."""
        found = []
        for n in self._options.scale:
            ours = await fan_out(
                Yabam(self._kafka, n), self._subscribers, self._folder, n, self._options.deliveries
            )
            limit = await fan_out(
                CSend(self._sends, n), self._subscribers, self._folder, n, self._options.deliveries
            )
            found.append((n, ours["cpu_us_per_delivery"], limit["cpu_us_per_delivery"]))
        return found


def _median(rows: list[Row]) -> Row:
    return {
        key: statistics.median(row[key] for row in rows) if isinstance(value, float) else value
        for key, value in rows[0].items()
    }


def _table(rows: list[Row]) -> None:
    print(
        f"\n{'system':<14}{'connections':>12}{'µs/delivery':>13}{'µs/connect':>12}"
        f"{'KiB/conn':>10}{'p50 ms':>9}{'p99 ms':>9}"
    )
    for row in rows:
        shown = [
            "-" if row[key] is None else f"{row[key]:.2f}"
            for key in ("cpu_us_per_delivery", "cpu_us_per_connect", "kib_per_connection",
                        "p50_ms", "p99_ms")
        ]  # fmt: skip
        print(
            f"{row['system']:<14}{row['connections']:>12,}{shown[0]:>13}{shown[1]:>12}"
            f"{shown[2]:>10}{shown[3]:>9}{shown[4]:>9}"
        )


def _ratios(rows: list[Row], n: int) -> None:
    by_name = {row["system"]: row for row in rows if row["connections"] == n}
    ours = by_name["yabam"]
    print(f"\nat {n:,} connections:")
    for other, key, target in (
        ("nchan", "cpu_us_per_delivery", 1.0),
        ("c-send", "cpu_us_per_delivery", 1.3),
        ("sse-starlette", "cpu_us_per_delivery", None),
        ("nchan", "cpu_us_per_connect", 1.5),
    ):
        if other in by_name and by_name[other][key]:
            ratio = ours[key] / by_name[other][key]
            wanted = "" if target is None else f" (target ≤ {target}: {_met(ratio <= target)})"
            print(f"  {key}: {ratio:.2f} × {other}{wanted}")
    kib = ours["kib_per_connection"]
    print(f"  kib_per_connection: {kib:.1f} (target ≤ 6: {_met(kib <= 6)})")
    ratio = ours["p99_ms"] / ours["bare_p99_ms"]
    print(
        f"  p99: {ours['p99_ms']:.1f} ms, {ratio:.2f} × a bare aiokafka consumer's "
        f"{ours['bare_p99_ms']:.1f} ms (target ≤ 3: {_met(ratio <= 3)})"
    )


def _met(well: bool) -> str:
    return "met" if well else "NOT met"


def _header() -> Row:
    cpu = next(
        (text.split(":")[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines()
         if text.startswith("model name")), "unknown",
    )  # fmt: skip
    return {
        "machine": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


async def run(options: argparse.Namespace, kafka: str, folder: Path) -> list[Row]:
    """All of it; the rows."""
    bench = Bench(options, kafka, folder)
    rows: list[Row] = []
    for n in options.connections:
        rows += await bench.compare(n)
    _table(rows)
    for n in options.connections:
        _ratios(rows, n)
    print("\nconnections   yabam µs/delivery   c-send µs/delivery")
    for n, ours, limit in await bench.scale():
        print(f"{n:>11,}   {ours:>17.2f}   {limit:>18.2f}")
    return rows


def main() -> None:
    """Run, print and write build/bench.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--deliveries", type=int, default=300_000, help="per system and round")
    parser.add_argument("--connections", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument(
        "--scale", type=int, nargs="*", default=[500, 1000, 2000, 4000, 8000, 16000]
    )
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as folder:
        server = KafkaServer(Path(folder) / "kafka", ensure_libs(Path("build/kafka"), print))
        server.start()
        try:
            rows = asyncio.run(run(options, server.bootstrap, Path(folder)))
        finally:
            server.stop()
    keys = ("system", "connections", "cpu_us_per_delivery", "cpu_us_per_connect",
            "kib_per_connection", "p50_ms", "p99_ms")  # fmt: skip
    written = [_header(), *({key: row[key] for key in keys} for row in rows)]
    Path("build").mkdir(exist_ok=True)
    Path("build/bench.json").write_text(json.dumps(written, indent=1))
    print("\nwritten: build/bench.json")


if __name__ == "__main__":
    main()
