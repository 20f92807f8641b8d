"""Measures the CPU of an idle installation: `python -m tests.bench.idle`.

One Core, relay, ingest and event server with a real PostgreSQL and Apache Kafka and no client.
Prints the CPU of each as a share of one core, in the form of `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Final

from tests.bench.fanout.machine import QuietMeter
from tests.bench.installation import KAFKA, Spent, installation

SETTLES_S: Final = 10.0
TARGET_PERCENT: Final = 2.0
"""The share of a core that all processes except Kafka may use together."""


def shares(spent: Spent, seconds: float) -> dict[str, float]:
    """The percentage of a core that each process uses over this many seconds."""
    before = {name: read() for name, read in spent.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: (read() - before[name]) / passed * 100 for name, read in spent.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    meter = QuietMeter()
    with installation() as (_, spent):
        time.sleep(SETTLES_S)
        found = [shares(spent, options.seconds) for _ in range(options.rounds)]
    print(f"Medians of {options.rounds} rounds. The machine: {meter.read()}.\n")
    print("| | of a core |\n| --- | ---: |")
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    for name, share in medians.items():
        print(f"| {name} | {share:.2f} % |")
    ours = sum(share for name, share in medians.items() if name != KAFKA)
    verdict = "met" if ours <= TARGET_PERCENT else "**not met**"
    print(f"\nAll but Kafka: {ours:.1f} % (target at most {TARGET_PERCENT:g} %: {verdict})")


if __name__ == "__main__":
    main()
