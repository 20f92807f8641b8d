"""The cost of a Fetch Sync in Core, measured in turn with this checkout and with another.

    python -m tests.bench.sync.beside CHECKOUT [--rivals] [--guests]

It runs one PostgreSQL with one log, a Core of each checkout, and with `--rivals` the two
applications that `make bench-sync` compares with. In each round each one answers the same requests
for a second, one after the other; another one starts each time. The figure is the CPU per answer of
the server's process and of PostgreSQL: other work on the machine lowers the rate, but hardly
changes this figure. Each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.sync.cases import BEHIND, Case, Sample, System, per_request_us
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.systems import Serving, measured, running, token_maker
from tests.bench.sync.wrk import Request, run_wrk, write_requests

_HERE: Final = Path(__file__).parents[3]
_RIVALS: Final[tuple[System, ...]] = ("sqlalchemy", "asyncpg")
_SEED: Final = 11


def arguments() -> argparse.Namespace:
    """The arguments: what to measure, and for how long."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync.beside", description=__doc__)
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--rivals", action="store_true", help="SQLAlchemy and asyncpg as well")
    parser.add_argument("--rounds", type=int, default=5, help="whose median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=1, help="of each run (default 1)")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--channels", type=int, default=5000)
    parser.add_argument("--events", type=int, default=60, help="per channel")
    parser.add_argument(
        "--guests", action="store_true", help="tables ask, in whose channels nothing has happened"
    )
    parser.add_argument("--cases", nargs="+", default=list(BEHIND), choices=list(BEHIND))
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "data", max_connections=300)
        postgres.start()
        try:
            database = asyncio.run(make_database(postgres, "log"))
            asyncio.run(fill(database, options.channels, options.events))
            servers = _servers(options, database, folder)
            files = {case: _requests(options, folder, case) for case in options.cases}
            with running([server.process for server in servers.values()]):
                for server in servers.values():
                    server.start()
                found = _rounds(options, postgres, servers, files)
        finally:
            postgres.stop()
    _tell(options, servers, found)


def of_checkout(checkout: Path) -> dict[str, str]:
    """The environment for a process with the code of this checkout."""
    # Otherwise Python would first look for modules in the folder where it is started.
    return {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}


def _servers(options: argparse.Namespace, database: str, folder: Path) -> dict[str, Serving]:
    checkouts = {"beside": options.checkout.absolute(), "now": _HERE}
    servers = {
        name: Serving("yabam", database, folder / name, of_checkout(checkout))
        for name, checkout in checkouts.items()
    }
    if options.rivals:
        servers |= {rival: Serving(rival, database, folder / rival) for rival in _RIVALS}
    return servers


def _requests(options: argparse.Namespace, folder: Path, case: Case) -> Path:
    token = token_maker()
    if options.guests:
        return write_requests(
            folder / f"{case}.txt",
            [
                Request(
                    "GET",
                    f"/v1/sync?channel=table:{n}/1&lastEventId=table:{n}/1@0",
                    token(Caller(f"guest-{n}", "table", table=parse_channel(f"table:{n}/1"))),
                )
                for n in range(1, options.channels + 1)
            ],
        )
    after = options.events - BEHIND[case]
    return write_requests(
        folder / f"{case}.txt",
        [
            Request(
                "GET",
                f"/v1/sync?channel=store:{n}&lastEventId=store:{n}@{after}",
                token(Caller(f"pos-{n}", "owner", frozenset({str(n)}))),
            )
            for n in range(1, options.channels + 1)
        ],
    )


def _rounds(
    options: argparse.Namespace,
    postgres: EmbeddedPostgres,
    servers: Mapping[str, Serving],
    files: Mapping[Case, Path],
) -> dict[tuple[Case, str], list[Sample]]:
    found: dict[tuple[Case, str], list[Sample]] = {}
    names = list(servers)
    for round_ in range(options.rounds + 1):  # the first one warms up
        for case, path in files.items():
            turn = round_ % len(names)
            for name in names[turn:] + names[:turn]:
                server = servers[name]
                sample = measured(
                    partial(run_wrk, server.url, path, options.clients, options.seconds, _SEED),
                    server.process,
                    postgres,
                    options.seconds,
                )
                if sample.load.failed:
                    raise SystemExit(f"{name} failed {sample.load.failed} requests")
                if round_:
                    found.setdefault((case, name), []).append(sample)
    return found


def _tell(
    options: argparse.Namespace,
    servers: Mapping[str, Serving],
    found: Mapping[tuple[Case, str], list[Sample]],
) -> None:
    print(f"load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds")
    for case in options.cases:
        costs: dict[str, float] = {}
        rates: dict[str, float] = {}
        for name in servers:
            samples = found[case, name]
            own = statistics.median(per_request_us(one.server_cpu, one) for one in samples)
            database = statistics.median(per_request_us(one.postgres_cpu, one) for one in samples)
            costs[name] = own + database
            rates[name] = statistics.median(one.load.req_s for one in samples)
            print(
                f"{case:13}{name:11}{own:7.1f} µs of the server {database:6.1f} µs of Postgres "
                f"{rates[name]:8,.0f}/s"
            )
        for name in servers:
            if name != "now":
                print(
                    f"{case:13}beside {name}: {costs[name] / costs['now']:.2f} × per CPU, "
                    f"{rates['now'] / rates[name]:.2f} × by rate"
                )


if __name__ == "__main__":
    run(arguments())
