"""`python -m tests.fuzz`: fuzz for longer, and keep inputs that find a fault in the corpus."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from core_api.access.callers import Role
from deploy.local.postgres import EmbeddedPostgres
from tests.fuzz.api import fuzz_api
from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, Target
from tests.integration.core_service import CoreService
from tests.parts import migrated_database

_ROUND: Final = 200
_API_ROUND: Final = 30
_ROLES: Final[tuple[Role | None, ...]] = ("owner", "table", "producer", "ops", None)


def main() -> int:
    """Fuzz. Returns 1 if a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (default 60)")
    known = [*TARGETS, "api"]
    parser.add_argument("--target", action="append", choices=known, help="repeatable")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    faults = 0
    for name in arguments.target or known:
        if name == "api":
            faults += _look_at_api(arguments.seconds, arguments.seed)
        else:
            faults += _look(TARGETS[name], arguments.seconds, arguments.seed)
    return 1 if faults else 0


def _look(target: Target, seconds: float, seed: int) -> int:
    began, tried, number = time.monotonic(), 0, 0
    while time.monotonic() - began < seconds:
        failing: list[bytes] = []
        tried += _round(target, seed + number, failing)
        number += 1
        if failing:
            # The last input that failed is the smallest.
            path = keep(target, failing[-1])
            print(f"{target.name:<15} a fault, seed {seed + number - 1}: {path}", flush=True)
            return 1
    print(f"{target.name:<15} {tried:>9,} inputs, no fault", flush=True)
    return 0


def _look_at_api(seconds: float, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="yabam-fuzz-", ignore_cleanup_errors=True) as text:
        folder = Path(text)
        folder.chmod(0o755)  # PostgreSQL may run as a user of its own
        postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        postgres.start()
        try:
            core = CoreService.start(asyncio.run(migrated_database(postgres)), folder / "core")
            try:
                return _ask_api(core.stack.core_url, seconds, seed)
            finally:
                core.stop()
        finally:
            postgres.stop()


def _ask_api(core_url: str, seconds: float, seed: int) -> int:
    statuses: Counter[int] = Counter()
    began, number = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        try:
            statuses += fuzz_api(core_url, _ROLES[number % len(_ROLES)], _API_ROUND, seed + number)
        except (AssertionError, BaseExceptionGroup) as error:
            traceback.print_exception(error)
            print(f"{'api':<15} a fault, seed {seed + number}", flush=True)
            return 1
        number += 1
    told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    print(f"{'api':<15} {statuses.total():>9,} requests, no fault ({told})", flush=True)
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


def keep(target: Target, data: bytes) -> str:
    """Put an input into the corpus. Returns its name there."""
    name = f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    target.keep(name, data)
    return name


if __name__ == "__main__":
    sys.exit(main())
