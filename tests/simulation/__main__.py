"""Runs very many schedules: `python -m tests.simulation --schedules 100000 --seed 1`.

Each schedule is decided by its seed alone; a failing one is printed and replays by
`python -m tests.simulation --schedules 1 --seed N`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.world import ViolationError, World

BLOCK = 50
"""So many schedules are one piece of work."""
BAR = 30


def run_block(seeds: range) -> tuple[Counter[str], list[str]]:
    """Run these seeds; what was injected, and what went wrong."""
    injected: Counter[str] = Counter()
    violations: list[str] = []
    for seed in seeds:
        world = World(seed)
        try:
            world.run()
        except ViolationError as violation:
            violations.append(str(violation))
        injected += world.injected
    return injected, violations


def main() -> int:
    """Run the schedules with a progress bar; 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    last = options.seed + options.schedules
    blocks = [range(n, min(n + BLOCK, last)) for n in range(options.seed, last, BLOCK)]
    injected: Counter[str] = Counter()
    violations: list[str] = []
    began = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        done = 0
        for block, (counts, found) in zip(blocks, pool.map(run_block, blocks), strict=True):
            injected += counts
            violations += found
            done += len(block)
            _show_progress(done, options.schedules, len(violations), time.monotonic() - began)
    print(file=sys.stderr)
    _report(options.schedules, injected, violations)
    return 1 if violations else 0


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


def _report(schedules: int, injected: Counter[str], violations: Iterable[str]) -> None:
    print(f"{schedules:,} schedules; injected {injected.total():,} faults:")
    for name, count in injected.most_common():
        print(f"  {count:>9,}  {name}")
    found = list(violations)
    for text in found:
        print(f"VIOLATION: {text}")
    print("every invariant held in all of them" if not found else f"{len(found)} violations")


if __name__ == "__main__":
    sys.exit(main())
