"""`python -m tests.fuzz`: look for longer, and keep what finds a fault in the corpus."""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, Target

_ROUND = 200


def main() -> int:
    """Fuzz; 1 if a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (default 60)")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="repeatable")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    faults = 0
    for name in arguments.target or TARGETS:
        faults += _look(TARGETS[name], arguments.seconds, arguments.seed)
    return 1 if faults else 0


def _look(target: Target, seconds: float, seed: int) -> int:
    began, tried, number = time.monotonic(), 0, 0
    while time.monotonic() - began < seconds:
        failing: list[bytes] = []
        tried += _round(target, seed + number, failing)
        number += 1
        if failing:
            # The last one that failed is the one that was shrunk the furthest.
            path = keep(target, failing[-1])
            print(f"{target.name:<15} a fault, seed {seed + number - 1}: {path}", flush=True)
            return 1
    print(f"{target.name:<15} {tried:>9,} inputs, no fault", flush=True)
    return 0


def _round(target: Target, seed: int, failing: list[bytes]) -> int:
    tried = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        nonlocal tried
        tried += 1
        try:
            target.check(data)
        except BaseException:
            failing.append(data)
            raise

    try:
        run()
    except Exception as error:
        if not failing:
            raise
        traceback.print_exception(error)
    return tried


def keep(target: Target, data: bytes) -> Path:
    """Put an input into the corpus; the suite runs it from now on."""
    path = target.folder / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    sys.exit(main())
