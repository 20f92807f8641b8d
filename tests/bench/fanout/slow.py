"""What good clients notice of slow ones: `python -m tests.bench.fanout.slow`.

8,000 subscribers of one channel get five events a second for twenty seconds. Once all of them read
what comes; once a tenth reads one byte a second and lets little wait in its kernel. p99 is that of
the good ones, from just before the publisher hands the event to Kafka. Rounds go over both in turn.
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
    """Of the good clients."""
    cpu_us_per_delivery: float
    """To a good client."""
    mib_more: float
    """Private memory at the end, beside that once all were connected."""
    hung_up: int
    """Slow clients that the server has given up."""


async def measure(
    options: argparse.Namespace, system: Yabam, subscribers: Subscribers, every: int
) -> Noticed:
    """Serve them, and end both.

    Args:
        options: the command's: how many they are, how many events a second they get, and how long.
        system: what serves them.
        subscribers: those whom it serves.
        every: each one of so many of them is slow; 0: none is.

    Raises:
        RuntimeError: a good client lost an event, or was hung up on.
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
    """All rounds: the medians, without slow clients and with them."""
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
