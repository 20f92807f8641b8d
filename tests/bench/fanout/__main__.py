"""Compares what a push costs: `python -m tests.bench.fanout` (`make bench`).

Each system serves the same subscribers (a C program) with events of the same size. CPU is that of
the server's processes alone, kernel time included; the subscribers and the publisher do not count.
Rounds go over all systems in turn, so that what else the machine does burdens all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from deploy.kafka.server import KafkaServer, ensure_libs
from tests.bench.fanout.machine import QuietMeter, allow_files, header
from tests.bench.fanout.measure import compiled
from tests.bench.fanout.measurements import cost, delay, delay_beside_bare
from tests.bench.fanout.peers import PEERS
from tests.bench.fanout.report import markdown
from tests.bench.fanout.results import Results, Sample
from tests.bench.fanout.rivals import Bare, CSend, Nchan, SseStarlette
from tests.bench.fanout.setup import outcomes
from tests.bench.fanout.system import System
from tests.bench.fanout.yabam import Yabam, YabamSocket


class Bench:
    """One run.

    Args:
        options: the command's.
        kafka: where it is.
        folder: for files.
        results: filled.
    """

    def __init__(
        self, options: argparse.Namespace, kafka: str, folder: Path, results: Results
    ) -> None:
        self._deliveries: int = options.deliveries
        self._systems: list[str] = options.systems
        self._kafka = kafka
        self._folder = folder
        self._results = results
        build = Path("build/bench")
        self._subscribers = compiled("subscribers", build)
        self._sends = compiled("sends", build)

    async def compare(self, n: int, number: int) -> None:
        """One round at `n` connections."""
        for make in self._made(n):
            system = make()
            try:
                await self._cost(system, n, number)
            except (RuntimeError, TimeoutError) as failure:
                if isinstance(system, Yabam):
                    raise
                why = str(failure) or "no answer"
                said = f"{system.name}, {n:,} connections, round {number}: {why}"
                print(f"  left out: {said}", flush=True)
                self._results.failures.append(said)
                continue
            if type(system) is Yabam:
                ours, bare = await delay_beside_bare(
                    self._yabam(n), self._subscribers, self._folder, n
                )
                self._add(Sample("yabam", n, number, **asdict(ours)))
                self._add(Sample("aiokafka", n, number, **asdict(bare)))
            elif isinstance(system, SseStarlette | Nchan):
                took = await delay(make(), self._subscribers, self._folder, n)
                self._add(Sample(system.name, n, number, **asdict(took)))

    async def scale(self, n: int) -> None:
        """The cost of a delivery of this server and the limit's, at `n` connections."""
        await self._cost(self._yabam(n), n, 1)
        await self._cost(CSend(self._sends, n), n, 1)

    def _made(self, n: int) -> list[Callable[[], System]]:
        made: dict[str, Callable[[], System]] = {
            "yabam": lambda: self._yabam(n),
            "yabam-socket": lambda: YabamSocket(self._kafka, n),
            "sse-starlette": SseStarlette,
            "nchan": lambda: Nchan(self._folder),
            "c-send": lambda: CSend(self._sends, n),
            "bare": Bare,
        }
        if not Nchan.is_installed():
            del made["nchan"]
        for peer in PEERS:
            if peer.is_built():
                made[peer.name] = partial(peer, self._folder)
        return [make for name, make in made.items() if name in self._systems]

    def _yabam(self, n: int) -> Yabam:
        return Yabam(self._kafka, n)

    async def _cost(self, system: System, n: int, number: int) -> None:
        print(f"  {n:>6,} connections, round {number}: {system.name}", flush=True)
        found = asdict(await cost(system, self._subscribers, self._folder, n, self._deliveries))
        if isinstance(system, CSend):
            found = {"cpu_us_per_delivery": found["cpu_us_per_delivery"]}
        self._add(Sample(system.name, n, number, **found))

    def _add(self, sample: Sample) -> None:
        self._results.samples.append(sample)


async def run(options: argparse.Namespace, kafka: str, folder: Path, results: Results) -> None:
    """All of it."""
    if not Nchan.is_installed():
        print("nchan is not installed and left out: make bench-setup", flush=True)
    known = outcomes()
    for peer in PEERS:
        if not peer.is_built():
            why = known[peer.name].reason if peer.name in known else "make bench-setup"
            print(f"{peer.name} is not built and left out: {why}", flush=True)
    bench = Bench(options, kafka, folder, results)
    for number in range(1, options.rounds + 1):
        for n in options.connections:
            await bench.compare(n, number)
    for n in options.scale:
        if n not in options.connections:
            await bench.scale(n)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deliveries", type=int, default=200_000, help="per system and round")
    parser.add_argument("--connections", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument(
        "--scale", type=int, nargs="*", default=[500, 1000, 2000, 4000, 8000, 16000]
    )
    every = ["yabam", "yabam-socket", "sse-starlette", "nchan", "c-send", "bare"]
    every += [peer.name for peer in PEERS]
    parser.add_argument("--systems", nargs="+", choices=every, default=every)
    return parser.parse_args()


def main() -> None:
    """Run, print, and write build/bench.json and build/bench-push.json."""
    options = _options()
    allow_files(max([*options.connections, *options.scale]))
    command = f"make bench BENCH_ARGS={shlex.quote(' '.join(sys.argv[1:]))}"
    results = Results(header(), command if sys.argv[1:] else "make bench", options.connections)
    meter = QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as folder:
        server = KafkaServer(Path(folder) / "kafka", ensure_libs(Path("build/kafka"), print))
        server.start()
        try:
            asyncio.run(run(options, server.bootstrap, Path(folder), results))
        finally:
            server.stop()
    results.quiet = meter.read()
    results.write()
    print("\n" + markdown(results))
    print("written: build/bench.json, build/bench-push.json")


if __name__ == "__main__":
    main()
