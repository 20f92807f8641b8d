"""Measures what good clients notice of slow ones: `python -m tests.bench.fanout.slow`.

8,000 subscribers of one channel get five events a second for twenty seconds. In one case all of
them read without delay. In the other a tenth reads one byte a second and has a small buffer in the
kernel. p99 is that of the good ones, from just before the publisher gives the event to Kafka. Each
round measures both cases in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench.fanout.machine import allow_files
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds, private_kib
from tests.bench.fanout.on_kafka import measure_on_kafka
from tests.bench.fanout.results import SLOW
from tests.bench.fanout.yabam import Yabam

_LAST_WITHIN_S: Final = 60.0
"""As long as the kernel may send what was lost again and again."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """One measurement."""

    p50_ms: float
    p99_ms: float
    """The p99 of the good clients."""
    cpu_us_per_delivery: float
    """CPU per delivery to a good client."""
    mib_more: float
    """Growth of private memory from when all were connected until the end."""
    hung_up: int
    """Slow clients that the server has disconnected."""


async def measure(
    options: argparse.Namespace, system: Yabam, subscribers: Subscribers, every: int
) -> Noticed:
    """Serve the clients, and end both.

    Args:
        options: the command's: how many clients, how many events a second, for how long.
        system: the server.
        subscribers: the clients.
        every: one of this many clients is slow; 0: none is.

    Raises:
        RuntimeError: a good client lost an event, or was disconnected.
    """
    n = options.connections
    good = n - (-(-n // every) if every else 0)
    events = int(options.rate * options.seconds)
    try:
        await system.start()
        pids = system.pids()
        await subscribers.connect(system.port, [system.request(0)] * n)
        await subscribers.mark()
        memory, cpu, began = private_kib(pids), cpu_seconds(pids), time.monotonic()
        for number in range(events):
            await system.publish([0])
            ahead = began + (number + 1) / options.rate - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))
        await subscribers.wait_for(good * events, _LAST_WITHIN_S)
        # Slow ones look once a second whether they were hung up on.
        await asyncio.sleep(1.5)
        spent = cpu_seconds(pids) - cpu
        more = private_kib(pids) - memory
        came = await subscribers.mark()
        if came.events != good * events or came.closed:
            raise RuntimeError(f"{came} of {good * events} events came")
    finally:
        await subscribers.close()
        await system.stop()
    cost = spent / (good * events) * 1e6
    return Noticed(came.p50_ms, came.p99_ms, cost, more / 1024, came.slow_closed)


async def run(options: argparse.Namespace, kafka: str, folder: Path) -> list[dict[str, Any]]:
    """Make all rounds. Returns the medians, without slow clients and with them."""
    found: dict[int, list[Noticed]] = {0: [], options.slow_every: []}
    program = compiled("subscribers", Path("build/bench"))
    for _ in range(options.rounds):
        for every, noticed in found.items():
            system = Yabam(kafka, options.connections)
            subscribers = Subscribers(program, folder, slow_every=every)
            noticed.append(await measure(options, system, subscribers, every))
            print(f"  each {every}th slow: {noticed[-1]}", flush=True)
    return [
        {"slow_every": every}
        | {
            figure: statistics.median(asdict(one)[figure] for one in noticed)
            for figure in asdict(noticed[0])
        }
        for every, noticed in found.items()
    ]


def main() -> None:
    """Run, print, and write build/bench-slow.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.slow")
    parser.add_argument("--connections", type=int, default=8000)
    parser.add_argument("--slow-every", type=int, default=10)
    parser.add_argument("--rate", type=float, default=5, help="events a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    allow_files(options.connections)
    said = {"connections": options.connections, "rounds": options.rounds}
    measure_on_kafka(partial(run, options), said, SLOW)


if __name__ == "__main__":
    main()
