"""The cost of a client's cycle in both servers, which is the price of a short timeout.

In Core, a cycle is a new connection with a sync without news; in the event server, it is a new
connection with a ticket.

    python -m tests.bench.sync.cycle CHECKOUT...

In each round the servers of this checkout and of the others get the same storms in turn: the event
server in a new process, Core after each client has synced once in calm. Only the CPU of the servers
counts, for Core with PostgreSQL. The lower limit is a bare protocol that answers everything with
the same bytes; two connects to it stand for its two answers. A ratio is the median of the rounds'
own ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from core_api.access.callers import Caller
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.fanout.connects import Alone, storm
from tests.bench.fanout.machine import allow_files
from tests.bench.fanout.measure import Subscribers, compiled, cpu_seconds
from tests.bench.fanout.rivals import Bare
from tests.bench.sync.beside import of_checkout
from tests.bench.sync.fill import fill, make_database
from tests.bench.sync.systems import Serving, running, token_maker, tree_cpu

_EVENTS: Final = 20
_HERE: Final = Path(__file__).parents[3]
# Clients come in groups as large as the number of syncs that Core serves at once.
_MAX_SYNCS: Final = 2000


def arguments() -> argparse.Namespace:
    """The arguments: what to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync.cycle", description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs="+", help="other checkouts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=1500)
    parser.add_argument(
        "--devices", action="store_true", help="each says which device it is, and it is stored"
    )
    return parser.parse_args()


def requests(core: Serving, clients: int, as_devices: bool) -> list[bytes]:
    """The sync requests of clients that are up to date."""
    token = token_maker()
    host = core.url.removeprefix("http://")
    device = "Yabam-Device: till-1; mode=live; pending=0\r\n" if as_devices else ""
    return [
        (
            f"GET /v1/sync?channel=store%3A{n}&orders=1000&lastEventId=store%3A{n}%40{_EVENTS} "
            f"HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer "
            f"{token(Caller(f'pos-{n}', 'owner', frozenset({str(n)})))}\r\n"
            f"{device}Accept: */*\r\n\r\n"
        ).encode()
        for n in range(1, clients + 1)
    ]


async def syncs(core: Serving, postgres: int, heads: Sequence[bytes], at: Path) -> float:
    """The CPU in µs of Core and PostgreSQL for each of these requests, all sent at once."""
    subscribers = Subscribers(compiled("subscribers", Path("build/bench")), at)
    try:
        before = cpu_seconds([core.process.pid]) + tree_cpu(postgres)
        await subscribers.connect(int(core.url.rpartition(":")[2]), heads)
        after = cpu_seconds([core.process.pid]) + tree_cpu(postgres)
        return (after - before) / len(heads) * 1e6
    finally:
        await subscribers.close()


async def run(options: argparse.Namespace, postgres: EmbeddedPostgres, folder: Path) -> None:
    """Make all rounds, and print each one and the medians."""
    database = await make_database(postgres, "log")
    await fill(database, options.clients, _EVENTS)
    checkouts = {"now": _HERE} | {one.name: one.absolute() for one in options.checkouts}
    cores = {
        name: Serving("yabam", database, folder / name, of_checkout(code))
        for name, code in checkouts.items()
    }
    program = compiled("subscribers", Path("build/bench"))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in [*checkouts, "bare"]}
    with running([core.process for core in cores.values()]):
        for core in cores.values():
            core.start()
        heads = {
            name: requests(core, options.clients, options.devices) for name, core in cores.items()
        }
        pid = postgres.process.pid
        for round_ in range(options.rounds + 1):  # the first one warms up
            for name in list(found)[:: 1 if round_ % 2 == 0 else -1]:
                if name == "bare":
                    cost = await storm(Bare(), program, folder, options.clients)
                    costs = cost, cost
                else:
                    costs = (
                        await syncs(cores[name], pid, heads[name], folder),
                        await storm(Alone(checkouts[name]), program, folder, options.clients),
                    )
                if round_:
                    found[name].append(costs)
                    print(f"  round {round_}: {name} {costs[0]:.1f} + {costs[1]:.1f}", flush=True)
    tell(found)


def tell(found: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Print the medians, and the others compared with this checkout."""
    print(f"load average {os.getloadavg()[0]:.1f}; µs of CPU for each client")
    for name, costs in found.items():
        sync, connect = (statistics.median(one[place] for one in costs) for place in (0, 1))
        print(f"{name:12} sync {sync:6.1f}  connect {connect:6.1f}")
    for name, costs in found.items():
        if name != "now":
            each = [sum(now) / sum(then) for now, then in zip(found["now"], costs, strict=True)]
            print(
                f"a cycle now beside {name}: {statistics.median(each):.2f} × "
                f"({min(each):.2f} to {max(each):.2f})"
            )


def main() -> None:
    """Run the command."""
    options = arguments()
    if options.clients > _MAX_SYNCS:
        raise SystemExit(f"at most {_MAX_SYNCS} clients: Core refuses more syncs at once")
    allow_files(options.clients)
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "data", max_connections=300)
        postgres.start()
        try:
            asyncio.run(run(options, postgres, folder))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
