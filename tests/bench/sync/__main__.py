"""Measure Fetch Sync and the write path; write `build/bench-sync.json`.

With its defaults it ends within six minutes: on a slow machine it makes fewer rounds.
`python -m tests.bench.sync.publish` writes the figures into `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from client_sdk.contract.errors import YabamError
from core_api.access.callers import Caller
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync import report
from tests.bench.sync.cases import (
    BEHIND,
    SYSTEMS,
    Case,
    Point,
    Run,
    Sample,
    System,
    details_of,
    encode_rows,
    median,
    row_of,
)
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.pgbench import run_pgbench
from tests.bench.sync.systems import ROOMY, Serving, measured, running, token_maker
from tests.bench.sync.wrk import BenchError, Request, run_wrk, write_requests

_PRODUCERS: Final = 100
_SEED: Final = 11
_COMMANDS_S: Final = 25.0
"""About how long the measurement of the write path takes, with its database."""
_PGBENCH_CONNECTS_S: Final = 2
"""Extra time for pgbench, which makes hundreds of connections one after the other."""


def arguments() -> argparse.Namespace:
    """The arguments: what to measure, and for how long."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync", description=__doc__)
    parser.add_argument("--seconds", type=int, default=1, help="of each run (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="whose median counts (default 3)")
    parser.add_argument("--within", type=float, default=330, help="seconds for all (default 330)")
    parser.add_argument("--clients", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--events", type=int, nargs="+", default=[60, 600], help="per channel")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--cases", nargs="+", default=list(BEHIND), choices=list(BEHIND))
    parser.add_argument("--no-commands", action="store_true", help="leave out the write path")
    parser.add_argument("--out", type=Path, default=Path("build/bench-sync.json"))
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
        self._token = token_maker()
        self._ends_at = time.monotonic() + options.within
        self.rounds = 0
        """How many rounds were measured."""

    def syncs(self) -> dict[Point, Sample]:
        """Measure every system in every case, interleaved, so that a slow moment affects all."""
        options = self._options
        serving: dict[tuple[System, int], Serving] = {}
        databases: dict[int, str] = {}
        for events in options.events:
            databases[events] = asyncio.run(make_database(self._postgres, f"log_{events}"))
            started = time.monotonic()
            asyncio.run(fill(databases[events], options.channels, events))
            say(
                f"{options.channels * events:,} events filled in {time.monotonic() - started:.1f} s"
            )
            for system in options.systems:
                if system != "pgbench":
                    folder = self._folder / f"{system}-{events}"
                    serving[system, events] = Serving(system, databases[events], folder)
        samples: dict[Point, list[Sample]] = {}
        with running([server.process for server in serving.values()]):
            for server in serving.values():
                server.start()
            files = dict(self._request_files())
            self._check_alike(serving, files)
            for round_ in self._while_there_is_time(options.rounds):
                for point, events in self._points():
                    measured_server = serving.get((point.system, events))
                    if measured_server is None and round_ == 0:
                        continue  # pgbench only reads what the others warm up, too
                    sample = self._measure(
                        point, measured_server, databases[events], files, events, round_ == 0
                    )
                    if round_ > 0:
                        samples.setdefault(point, []).append(sample)
        return {point: median(found) for point, found in samples.items()}

    def _while_there_is_time(self, rounds: int) -> Iterator[int]:
        """Round 0 to warm up, then at least one more, and as many as the time allows."""
        longest = 0.0
        for round_ in range(rounds + 1):
            began = time.monotonic()
            if round_ > 1 and began + longest + _COMMANDS_S > self._ends_at:
                say(f"the time is up: {self.rounds} of {rounds} rounds count")
                return
            yield round_
            took = time.monotonic() - began
            if round_ > 0:
                longest = max(longest, took)
                self.rounds = round_
            what = "to warm up" if round_ == 0 else f"{round_} of {rounds}"
            say(f"round {what}: {took:.0f} s, load average {os.getloadavg()[0]:.1f}")

    def _points(self) -> Iterator[tuple[Point, int]]:
        options = self._options
        # Both logs of a system one after the other, because a few per cent of difference count.
        for clients, case, system, events in itertools.product(
            options.clients, options.cases, options.systems, options.events
        ):
            yield Point(system, clients, case, options.channels * events), events

    def _request_files(self) -> Iterator[tuple[tuple[Case, int], tuple[Path, Request]]]:
        stores = range(1, self._options.channels + 1)
        tokens = {n: self._token(Caller(f"pos-{n}", "owner", frozenset({str(n)}))) for n in stores}
        for case, events in itertools.product(self._options.cases, self._options.events):
            after = events - BEHIND[case]
            requests = [
                Request(
                    "GET", f"/v1/sync?channel=store:{n}&lastEventId=store:{n}@{after}", tokens[n]
                )
                for n in stores
            ]
            path = self._folder / f"{case}-{events}.txt"
            yield (case, events), (write_requests(path, requests), requests[-1])

    def _check_alike(
        self,
        serving: dict[tuple[System, int], Serving],
        files: dict[tuple[Case, int], tuple[Path, Request]],
    ) -> None:
        """Check that all systems give the same answer, since only then their speed counts."""
        for (_, events), (_, request) in files.items():
            answers = {
                system: server.channels_of(request)
                for (system, of), server in serving.items()
                if of == events
            }
            if any(answer != next(iter(answers.values())) for answer in answers.values()):
                raise BenchError(f"the systems do not answer alike: {answers}")

    def _measure(
        self,
        point: Point,
        server: Serving | None,
        database: str,
        files: dict[tuple[Case, int], tuple[Path, Request]],
        events: int,
        warming: bool,
    ) -> Sample:
        seconds = 1 if warming else self._options.seconds
        if server is None:
            seconds += _PGBENCH_CONNECTS_S
            after = events - BEHIND[point.case]
            channels = self._options.channels
            return measured(
                lambda: run_pgbench(database, channels, after, point.clients, seconds),
                None,
                self._postgres,
                seconds,
            )
        requests = files[point.case, events][0]
        return measured(
            lambda: run_wrk(server.url, requests, point.clients, seconds, _SEED),
            server.process,
            self._postgres,
            seconds,
        )

    def commands(self) -> dict[str, Sample]:
        """Measure orders over HTTP, to 1,000 stores and all to one."""
        database = asyncio.run(make_database(self._postgres, "commands"))
        core = Serving("yabam", database, self._folder / "commands", ROOMY)
        files = {
            f"{stores:,} stores" if stores > 1 else "one store": self._orders(stores)
            for stores in (1000, 1)
        }
        samples: dict[str, list[Sample]] = {name: [] for name in files}
        with running([core.process]):
            core.start()
            for round_ in range(self._options.rounds + 1):
                for name, path in files.items():
                    asyncio.run(_count_none_as_open(database))
                    sample = measured(
                        partial(run_wrk, core.url, path, 64, self._options.seconds, _SEED),
                        core.process,
                        self._postgres,
                        self._options.seconds,
                    )
                    if round_ > 0:
                        samples[name].append(sample)
        return {name: median(found) for name, found in samples.items()}

    def _orders(self, stores: int) -> Path:
        chance = random.Random(_SEED)
        tokens = [
            self._token(Caller(f"producer-{n}", "producer", frozenset({"*"})))
            for n in range(_PRODUCERS)
        ]
        requests = []
        for n in range(max(stores, 1000)):
            body = {
                "store_id": str(n % stores + 1),
                "table_id": str(chance.randrange(20)),
                "currency": "KRW",
                "items": [
                    {"name": "Gimbap", "quantity": 2, "unit_price": 3500},
                    {"name": "Tteokbokki", "quantity": 1, "unit_price": 5000},
                ],
            }
            requests.append(Request("POST", "/v1/orders", tokens[n % _PRODUCERS], json.dumps(body)))
        return write_requests(self._folder / f"orders-{stores}.txt", requests)


def say(line: str) -> None:
    """Print a line at once, for the person who watches."""
    print(line, flush=True)


def run(options: argparse.Namespace) -> None:
    """Run the whole benchmark."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        postgres = EmbeddedPostgres(Path(name) / "data", max_connections=800)
        postgres.start()
        try:
            bench = Bench(postgres, Path(name), options)
            results = bench.syncs()
            written = {} if options.no_commands else bench.commands()
        finally:
            postgres.stop()
    found = Run(
        " ".join(["python -m tests.bench.sync", *sys.argv[1:]]),
        report.machine(),
        bench.rounds,
        round(time.monotonic() - began, 1),
        list(results.items()),
        written,
    )
    say(f"\n{found.machine}")
    for lines in (report.table(results), report.ratios(results), report.commands(written)):
        say("")
        for line in lines:
            say(line)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(encode_rows([row_of(p, s) for p, s in results.items()]))
    details_of(options.out).write_bytes(msgspec.json.encode(found))
    say(f"written to {options.out} after {found.took_s:.0f} s")
    failed = sum(s.load.failed for s in [*results.values(), *written.values()])
    if failed:
        raise BenchError(f"{failed} requests were not answered well: the figures do not count")


async def _count_none_as_open(database: str) -> None:
    """Set the counts of open orders to 0, so that earlier rounds do not fill the limits."""
    connection = await asyncpg.connect(database)
    await connection.execute("UPDATE channel_heads SET open_orders = 0, open_bytes = 0")
    await connection.close()


def main() -> int:
    """Run the benchmark. Returns the exit code."""
    try:
        run(arguments())
    except YabamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
