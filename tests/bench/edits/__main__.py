"""Measure edits of documents; write `build/bench-edits.json`.

With its defaults it ends within three minutes: on a slow machine it makes fewer rounds.
`python -m tests.bench.sync.publish` writes the figures into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import structlog

from client_sdk.contract.errors import YabamError
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.edits import report, syncs
from tests.bench.edits.cases import (
    LINES,
    OPERATIONS,
    SYNC_CASES,
    SYSTEMS,
    EditsRun,
    Fanout,
    Point,
    SyncCase,
)
from tests.bench.edits.generator import Assignment, Told, run_generator
from tests.bench.edits.phones import measure_fanout
from tests.bench.edits.serving import Serving, tokens
from tests.bench.sync.cases import Load, Sample, median
from tests.bench.sync.fill import make_database
from tests.bench.sync.report import machine
from tests.bench.sync.systems import measured, running

_FANOUT_S: Final = 40.0
"""About how long the measurement with phones takes, with its start."""


def arguments() -> argparse.Namespace:
    """The arguments: what to measure, and for how long."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.edits", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="of each run (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="whose median counts (default 3)")
    parser.add_argument("--within", type=float, default=150, help="seconds for all (default 150)")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--operations", nargs="+", default=list(OPERATIONS), choices=OPERATIONS)
    parser.add_argument("--stores", type=int, nargs="+", default=list(LINES), choices=list(LINES))
    parser.add_argument("--no-syncs", action="store_true", help="leave out the syncs")
    parser.add_argument("--no-phones", action="store_true", help="leave out the phones")
    parser.add_argument("--out", type=Path, default=Path("build/bench-edits.json"))
    return parser.parse_args()


class Bench:
    """One benchmark on one PostgreSQL.

    Args:
        postgres: an empty, running PostgreSQL.
        folder: for logs and request files.
        options: from the command line.
    """

    def __init__(
        self, postgres: EmbeddedPostgres, folder: Path, options: argparse.Namespace
    ) -> None:
        self._postgres = postgres
        self._folder = folder
        self._options = options
        self._ends_at = time.monotonic() + options.within
        self._tokens = tokens()
        self._versions: dict[Point, dict[int, int]] = {}
        self.rounds = 0
        """How many rounds were measured."""

    def run(self) -> tuple[dict[Point, Sample], dict[SyncCase, Sample]]:
        """Measure each system in each case, interleaved, so that a slow moment affects all."""
        options = self._options
        databases = {name: self._database(name) for name in options.systems}
        serving = {
            name: Serving(name, databases[name], self._folder / name) for name in options.systems
        }
        edits: dict[Point, list[Sample]] = {}
        read: dict[SyncCase, list[Sample]] = {}
        requests: dict[SyncCase, Path] = {}
        if not options.no_syncs and "yabam" in serving:
            asyncio.run(syncs.fill(databases["yabam"]))
            requests = syncs.request_files(self._folder)
        with running([server.process for server in serving.values()]):
            for server in serving.values():
                server.start()
            for round_ in self._while_there_is_time(options.rounds):
                for point in self._points():
                    sample = self._edits(point, serving[point.system], round_)
                    if round_ > 0:
                        edits.setdefault(point, []).append(sample)
                for case, path in requests.items():
                    sample = syncs.measure(serving["yabam"], self._postgres, path, 1)
                    if round_ > 0:
                        read.setdefault(case, []).append(sample)
        return (
            {point: median(found) for point, found in edits.items()},
            {case: median(read[case]) for case in SYNC_CASES if case in read},
        )

    def fanout(self) -> Fanout:
        """Measure edits that go to four phones each."""
        database = self._database("phones")
        folder = self._folder / "phones"
        work = measure_fanout(self._postgres, database, folder, 2.0 * self._options.seconds)
        return asyncio.run(work)

    def _points(self) -> Iterator[Point]:
        options = self._options
        for operation, stores, system in itertools.product(
            options.operations, options.stores, options.systems
        ):
            yield Point(system, operation, stores)

    def _database(self, name: str) -> str:
        return asyncio.run(make_database(self._postgres, name))

    def _while_there_is_time(self, rounds: int) -> Iterator[int]:
        """Round 0 to warm up, then at least one more, and as many as the time allows."""
        longest = 0.0
        rest = 0.0 if self._options.no_phones else _FANOUT_S
        for round_ in range(rounds + 1):
            began = time.monotonic()
            if round_ > 1 and began + longest + rest > self._ends_at:
                say(f"the time is up: {self.rounds} of {rounds} rounds count")
                return
            yield round_
            took = time.monotonic() - began
            if round_ > 0:
                longest = max(longest, took)
                self.rounds = round_
            what = "to warm up" if round_ == 0 else f"{round_} of {rounds}"
            say(f"round {what}: {took:.0f} s, load average {os.getloadavg()[0]:.1f}")

    def _edits(self, point: Point, server: Serving, round_: int) -> Sample:
        seconds = self._options.seconds
        work = Assignment(
            server.url,
            self._tokens,
            f"{point.operation}-{point.stores}-{round_}",
            point.operation,
            point.stores,
            LINES[point.stores],
            seconds,
            versions=self._versions.get(point, {}),
        )
        told: list[Told] = []

        def load() -> Load:
            told.append(run_generator(work))
            return told[0].load

        sample = measured(load, server.process, self._postgres, seconds)
        self._versions[point] = told[0].versions
        # Without the start of its process, which would cost more than the sending.
        return replace(sample, generator_cpu=told[0].cpu_s / seconds)


def say(line: str) -> None:
    """Print a line at once, for the person who watches."""
    print(line, flush=True)


def run(options: argparse.Namespace) -> None:
    """Run the whole benchmark."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        postgres = EmbeddedPostgres(Path(name) / "data", max_connections=200)
        postgres.start()
        try:
            bench = Bench(postgres, Path(name), options)
            results, read = bench.run()
            fanout = None if options.no_phones else bench.fanout()
        finally:
            postgres.stop()
    found = EditsRun(
        " ".join(["python -m tests.bench.edits", *sys.argv[1:]]),
        machine(),
        bench.rounds,
        round(time.monotonic() - began, 1),
        list(results.items()),
        read,
        fanout,
    )
    for line in report.page(found):
        say(line)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    say(f"written to {options.out} after {found.took_s:.0f} s")


def main() -> int:
    """Run the benchmark. Returns the exit code."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        run(arguments())
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
