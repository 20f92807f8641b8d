"""The cost in PostgreSQL of the statement that writes orders, by how many orders share it.

One client writes orders and their steps, in batches of each size, and counts the CPU of its own
backend. Commits do not wait for the disk, so a slow disk has no effect.

`--beside CHECKOUT` measures the code of another checkout in turn with this one, each with its own
database in the same PostgreSQL. It works with checkouts since 2026-11-22.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from core_api.orders.admission import OpenLimits
from core_api.orders.channel_entries import LogWrite, Views, log_write_of
from core_api.orders.lifecycle import NewItem, PlaceOrder, Target, Transition, place, transition
from core_api.orders.writes import KeyClaim, OrderWrite
from core_api.postgres.migrate import upgrade
from core_api.postgres.pool import Pool, open_pool
from deploy.local.postgres import EmbeddedPostgres

_STORES: Final = 1000
_TABLES: Final = 20
_SUBJECTS: Final = 100
_SHARDS: Final = 12
_BATCHES: Final = {1: 100, 10: 20, 40: 10, 100: 5}
"""The sizes of batches in commands, with the number of such batches in a round."""
_ROOMY: Final = OpenLimits(10**6, 30 << 20, 10**6, 30 << 20, 10**6, 30 << 20)
_NEXT: Final[dict[str, Target]] = {
    "placed": "accepted",
    "accepted": "preparing",
    "preparing": "ready",
}

WriteEach: TypeAlias = Callable[[Sequence[OrderWrite]], Awaitable[tuple[None, list[Any]]]]


class Load:
    """Makes commands, the same ones each time."""

    def __init__(self) -> None:
        self._chance = random.Random(5)
        self._steppable: list[LogWrite] = []

    def orders(self, count: int) -> list[OrderWrite]:
        """New orders with two items, of random stores and tables."""
        return [self._order() for _ in range(count)]

    def steps(self, count: int) -> list[OrderWrite]:
        """The next steps of written orders; fewer if not enough orders are left."""
        taken, self._steppable = self._steppable[:count], self._steppable[count:]
        return [self._step(rows) for rows in taken]

    def written(self, writes: Sequence[OrderWrite]) -> None:
        """Note that these are in the database."""
        self._steppable += [w.rows for w in writes if w.rows.change.after.status in _NEXT]

    def _order(self) -> OrderWrite:
        chance = self._chance
        items = [NewItem("Gimbap", 2, 3500), NewItem("Tteokbokki", 1, 5000)]
        store, table = str(chance.randrange(_STORES)), str(chance.randrange(_TABLES))
        subject = f"producer-{chance.randrange(_SUBJECTS)}"
        command = PlaceOrder(store, "KRW", items, table_id=table)
        made = place(command, order_id=str(uuid.uuid4()), placed_by=subject, now=datetime.now(UTC))
        return _write(log_write_of(made, None, subject), subject, 201, 0)

    def _step(self, before: LogWrite) -> OrderWrite:
        order = before.change.after
        change = transition(order, Transition(_NEXT[order.status]), now=datetime.now(UTC))
        views = Views(before.owner_view, before.table_view)
        return _write(log_write_of(change, views, "owner"), "owner", 200, None)


def _write(rows: LogWrite, subject: str, status: int, rules: int | None) -> OrderWrite:
    claim = KeyClaim(subject, str(uuid.uuid4()), bytes(32), status, rows.owner_view)
    return OrderWrite(rows, int(rows.change.after.store_id) % _SHARDS, claim, rules)


def _writer(pool: Pool) -> WriteEach:
    module: Any = importlib.import_module("core_api.orders.writing")
    if hasattr(module, "OrderWriter"):
        each: WriteEach = module.OrderWriter(pool, _ROOMY).write_each
        return each
    return lambda writes: module.write_each(pool, writes, _ROOMY)


def _cpu_us(pid: int) -> float:
    """The CPU of a process in nanosecond steps; `psutil` only counts hundredths of a second."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


async def measure(url: str) -> None:
    """For each line of the input (a kind and a size), write a line: microseconds per command."""
    await upgrade(url)
    pool = await open_pool(url, size=1, command_timeout_s=30, name="bench", lock_wait_s=0.1)
    await pool.execute("SET synchronous_commit = off")
    backend = await pool.fetchval("SELECT pg_backend_pid()")
    each, load = _writer(pool), Load()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        kind, size = line.split()[0], int(line.split()[1])
        used = 0.0
        for _ in range(_BATCHES[size]):
            writes = load.orders(size) if kind == "orders" else load.steps(size)
            while kind == "steps" and len(writes) < size:
                more = load.orders(100)
                await each(more)
                load.written(more)
                writes += load.steps(size - len(writes))
            before = _cpu_us(backend)
            _, outcomes = await each(writes)
            used += _cpu_us(backend) - before
            # An earlier checkout only returns the outcome.
            names = {getattr(getattr(one, "outcome", one), "name", "") for one in outcomes}
            if names != {"WRITTEN"}:
                raise AssertionError(outcomes)
            load.written(writes)
        print(json.dumps(used / size / _BATCHES[size]), flush=True)


def _child(postgres: EmbeddedPostgres, name: str, checkout: Path) -> subprocess.Popen[str]:
    # This file with the code of the other checkout.
    child = subprocess.Popen(
        [sys.executable, __file__, "--measure", f"{postgres.url.rpartition('/')[0]}/{name}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
    )
    assert child.stdout is not None
    if child.stdout.readline() != "ready\n":
        raise RuntimeError(f"the code of {checkout} does not start")
    return child


def _ask(child: subprocess.Popen[str], kind: str, size: int) -> float:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{kind} {size}\n")
    child.stdin.flush()
    return float(child.stdout.readline())


async def _make(url: str, names: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    for name in names:
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def run(checkouts: dict[str, Path], rounds: int) -> None:
    """Measure all checkouts in turn, and print the medians."""
    points = [(kind, size) for kind in ("orders", "steps") for size in _BATCHES]
    found: dict[tuple[str, int, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "data")
        postgres.start()
        children: dict[str, subprocess.Popen[str]] = {}
        try:
            asyncio.run(_make(postgres.url, list(checkouts)))
            for name, checkout in checkouts.items():
                children[name] = _child(postgres, name, checkout)
            for round_ in range(rounds + 1):  # the first one warms up
                for kind, size in points:
                    for name in sorted(children, reverse=round_ % 2 == 1):
                        cost = _ask(children[name], kind, size)
                        if round_:
                            found.setdefault((kind, size, name), []).append(cost)
        finally:
            for child in children.values():
                child.kill()
                child.communicate()
            postgres.stop()
    print(f"load average {os.getloadavg()[0]:.1f}; µs of a PostgreSQL backend's CPU for each")
    for kind, size in points:
        medians = {name: statistics.median(found[kind, size, name]) for name in checkouts}
        told = "  ".join(f"{name} {cost:7.1f}" for name, cost in medians.items())
        print(f"{kind:6} {size:3} together: {told}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.writing", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        asyncio.run(measure(options.measure))
        return
    checkouts = {"now": Path(__file__).parents[2]}
    if options.beside:
        checkouts["beside"] = options.beside.absolute()
    run(checkouts, options.rounds)


if __name__ == "__main__":
    main()
