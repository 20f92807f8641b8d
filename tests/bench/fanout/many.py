"""Fan-out over several nodes, and to 50,000 followers: `python -m tests.bench.fanout.many`.

* nodes: one channel in each third of the partitions, each third served by its own event server;
* crowd: one channel with 50,000 followers;
* channels: 50,000 channels with one follower each.

A process may only open some thousand files, so the followers are several processes, each with its
own address in 127.0.0.0/8, and the event server has several workers. On a machine with two cores
all share them: the CPU per delivery is the cost, and the rate is what this machine can do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import resource
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench.fanout.machine import allow_files
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds, private_kib
from tests.bench.fanout.on_kafka import measure_on_kafka
from tests.bench.fanout.results import MANY
from tests.bench.fanout.yabam import Yabam

_ARRIVE_WITHIN_S: Final = 300.0
_SETTLE_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement."""

    deliveries_per_s: float
    cpu_us_per_delivery: float
    cpu_us_per_connect: float
    kib_per_connection: float


@contextlib.asynccontextmanager
async def crowd_of(count: int, program: Path, folder: Path) -> AsyncIterator[list[Subscribers]]:
    """Run this many processes of followers, each with its own address."""
    crowd = [Subscribers(program, folder, f"127.0.0.{2 + n}") for n in range(count)]
    try:
        yield crowd
    finally:
        for one in crowd:
            await one.close()


async def measure(
    system: Yabam,
    crowd: Sequence[tuple[Subscribers, int, Sequence[int]]],
    waves: Sequence[Sequence[int]],
) -> Seen:
    """Connect the followers, and publish one event to each channel of each wave.

    Args:
        system: must not be started. It is stopped at the end.
        crowd: processes of followers, each with its node and the channel of each follower.
        waves: the channels that get an event, in order.

    Raises:
        RuntimeError: an event was lost, or a follower was refused or disconnected.
    """
    published = Counter(itertools.chain.from_iterable(waves))
    due = [sum(published[channel] for channel in channels) for _, _, channels in crowd]
    count = sum(len(channels) for _, _, channels in crowd)
    try:
        await system.start()
        pids = system.pids()
        memory, cpu = private_kib(pids), cpu_seconds(pids)
        for one, node, channels in crowd:
            heads = {channel: system.request(channel) for channel in set(channels)}
            requests = [heads[channel] for channel in channels]
            await one.connect(system.ports[node], requests, _ARRIVE_WITHIN_S)
        connecting = cpu_seconds(pids) - cpu
        await asyncio.sleep(_SETTLE_S)
        keeping = private_kib(pids) - memory
        cpu, began = cpu_seconds(pids), time.monotonic()
        for wave in waves:
            await system.publish(wave)
        came = await asyncio.gather(
            *(
                one.gather(events, _ARRIVE_WITHIN_S)
                for (one, _, _), events in zip(crowd, due, strict=True)
            )
        )
        took, spent = time.monotonic() - began, cpu_seconds(pids) - cpu
        if [one.events for one in came] != due or any(one.closed for one in came):
            raise RuntimeError(f"{came} of {due} events came")
    finally:
        await system.stop()
    total = sum(due)
    return Seen(total / took, spent / total * 1e6, connecting / count * 1e6, keeping / count)


def one_of_each_node(system: Yabam) -> list[int]:
    """A channel of each node."""
    found: dict[int, int] = {}
    for channel in itertools.count():
        found.setdefault(system.node_of(channel), channel)
        if len(found) == len(system.ports):
            return [found[node] for node in sorted(found)]
    raise AssertionError("unreachable")


def parted(channels: Sequence[int], into: int) -> list[Sequence[int]]:
    """Split the channels into parts, whose sizes differ by at most one."""
    size, more = divmod(len(channels), into)
    ends = list(itertools.accumulate(size + (n < more) for n in range(into)))
    return [channels[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class Bench:
    """One run.

    Args:
        options: the options of the command.
        kafka: the address of Kafka.
        folder: for files.
    """

    def __init__(self, options: argparse.Namespace, kafka: str, folder: Path) -> None:
        self._options = options
        self._kafka = kafka
        self._folder = folder
        self._program = compiled("subscribers", Path("build/bench"))

    async def nodes(self, count: int) -> Seen:
        """Measure one channel for each node, with equal parts of the followers."""
        each = self._options.connections // count
        system = Yabam(self._kafka, each, nodes=count)
        channels = one_of_each_node(system)
        async with crowd_of(count, self._program, self._folder) as crowd:
            taken = [(one, n, [channels[n]] * each) for n, one in enumerate(crowd)]
            return await measure(system, taken, [channels] * self._options.events)

    async def crowd(self) -> Seen:
        """Measure one channel with all followers."""
        return await self._many([0] * self._options.followers, [[0]] * 10)

    async def channels(self) -> Seen:
        """Measure as many channels as followers."""
        each = list(range(1, self._options.followers + 1))
        return await self._many(each, [each] * 4)

    async def _many(self, channels: Sequence[int], waves: Sequence[Sequence[int]]) -> Seen:
        options = self._options
        system = Yabam(self._kafka, options.followers, options.workers)
        async with crowd_of(options.processes, self._program, self._folder) as crowd:
            parts = parted(channels, options.processes)
            taken = [(one, 0, part) for one, part in zip(crowd, parts, strict=True)]
            return await measure(system, taken, waves)


async def run(options: argparse.Namespace, kafka: str, folder: Path) -> list[dict[str, Any]]:
    """Make all measurements. Returns the medians of interleaved rounds."""
    bench = Bench(options, kafka, folder)
    made = {
        "1 node": lambda: bench.nodes(1),
        "3 nodes": lambda: bench.nodes(3),
        "one channel": bench.crowd,
        "a channel each": bench.channels,
    }
    sizes = {"1 node": options.connections, "3 nodes": options.connections // 3 * 3}
    found: dict[str, list[Seen]] = {name: [] for name in made if name in options.cases}
    for _ in range(options.rounds):
        for name, seen in found.items():
            seen.append(await made[name]())
            print(f"  {name}: {seen[-1]}", flush=True)
    return [
        {"case": name, "followers": sizes.get(name, options.followers)}
        | {
            figure: statistics.median(asdict(one)[figure] for one in seen)
            for figure in asdict(seen[0])
        }
        for name, seen in found.items()
    ]


def main() -> None:
    """Run, print, and write build/bench-many.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout.many")
    parser.add_argument("--connections", type=int, default=6000, help="of the nodes together")
    parser.add_argument("--events", type=int, default=40, help="of each node's channel")
    parser.add_argument("--followers", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--processes", type=int, default=5, help="of followers")
    parser.add_argument("--rounds", type=int, default=1)
    every = ["1 node", "3 nodes", "one channel", "a channel each"]
    parser.add_argument("--cases", nargs="+", choices=every, default=every)
    options = parser.parse_args()
    allow_files(options.followers // min(options.workers, options.processes))
    # By chance, workers do not get the same number of streams.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    said = {"workers": options.workers, "rounds": options.rounds}
    measure_on_kafka(partial(run, options), said, MANY)


if __name__ == "__main__":
    main()
