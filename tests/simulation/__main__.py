"""Runs many schedules: `python -m tests.simulation --schedules 100000 --seed 1`.

Most schedules are of orders; for twenty of these there is one of documents and one of a client over
MQTT. A schedule depends only on its kind and its seed. A failing one is printed with both, and
`python -m tests.simulation --kind orders --schedules 1 --seed N` runs it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.documents.world import DocumentWorld
from tests.simulation.mqtt.world import MqttWorld
from tests.simulation.setting import ViolationError
from tests.simulation.world import World

BLOCK = 50
"""How many schedules a process runs before it reports."""
BAR = 30
KINDS: Mapping[str, type[World] | type[DocumentWorld] | type[MqttWorld]] = {
    "orders": World,
    "documents": DocumentWorld,
    "mqtt": MqttWorld,
}
OTHERS_EVERY = 20
"""For so many schedules of orders there is one of each other kind, which takes longer."""


def run_block(block: tuple[str, range]) -> tuple[Counter[str], list[str]]:
    """Run these seeds of a kind. Returns the counts of injected faults, and the violations."""
    injected: Counter[str] = Counter()
    violations: list[str] = []
    kind, seeds = block
    for seed in seeds:
        world = KINDS[kind](seed)
        try:
            world.run()
        except ViolationError as violation:
            violations.append(str(violation))
        injected += world.injected
    return injected, violations


def main() -> int:
    """Run the schedules with a progress bar. Returns 0, or 1 if an invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000, help="how many (100000)")
    parser.add_argument("--kind", choices=KINDS, help="run schedules of this kind only")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    shares = {options.kind: options.schedules} if options.kind else _shares(options.schedules)
    blocks = [block for kind, n in shares.items() for block in _blocks(kind, options.seed, n)]
    total = sum(shares.values())
    injected: Counter[str] = Counter()
    violations: list[str] = []
    began = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        done = 0
        for block, (counts, found) in zip(blocks, pool.map(run_block, blocks), strict=True):
            injected += counts
            violations += found
            done += len(block[1])
            _show_progress(done, total, len(violations), time.monotonic() - began)
    print(file=sys.stderr)
    _report(shares, injected, violations)
    return 1 if violations else 0


def _shares(schedules: int) -> dict[str, int]:
    """How many schedules of each kind are run, for so many of orders."""
    others = max(1, schedules // OTHERS_EVERY)
    return {kind: schedules if kind == "orders" else others for kind in KINDS}


def _blocks(kind: str, first: int, schedules: int) -> list[tuple[str, range]]:
    last = first + schedules
    return [(kind, range(n, min(n + BLOCK, last))) for n in range(first, last, BLOCK)]


def _show_progress(done: int, total: int, violations: int, seconds: float) -> None:
    filled = BAR * done // total
    left = seconds / done * (total - done)
    print(
        f"\r[{'█' * filled}{'·' * (BAR - filled)}] {done:,}/{total:,} schedules, "
        f"{violations} violations, {left:.0f} s left ",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _report(shares: Mapping[str, int], injected: Counter[str], violations: Iterable[str]) -> None:
    run = " and ".join(f"{count:,} schedules of {kind}" for kind, count in shares.items())
    print(f"{run}; injected {injected.total():,} faults:")
    for name, count in injected.most_common():
        print(f"  {count:>9,}  {name}")
    found = list(violations)
    for text in found:
        print(f"VIOLATION: {text}")
    print("every invariant held in all of them" if not found else f"{len(found)} violations")


if __name__ == "__main__":
    sys.exit(main())
