"""`python -m tests.attack`: every attack in full size; a table, and `build/attack.json`.

The cost of a stall to others is judged but never fails the run: times depend on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from tests.attack.report import REPORT, told
from tests.attack.scenarios import SCENARIOS
from tests.attack.site import KAFKA_BUILD, SETTINGS, Figures, Site
from tests.bench.fanout.machine import QuietMeter
from tests.parts import migrated_database
from tests.security.installation import installed

_HEAD = (
    f"{'attack':<18}{'result':<8}{'took':>7}{'growth of memory (allowed), MiB':>46}"
    f"{'slowest for others: push / sync / connect, ms':>52}"
)


def main() -> int:
    """Run the attacks. Returns 1 if the system failed under one."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ATTACK", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--small", action="store_true", help="in the size of the test suite")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no attack {', '.join(sorted(unknown))}")
    names = arguments.names or list(SCENARIOS)
    began, quiet = datetime.now(UTC), QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-attack-", ignore_cleanup_errors=True) as text:
        folder = Path(text)
        folder.chmod(0o755)  # PostgreSQL may run as a user of its own
        postgres = EmbeddedPostgres(folder / "postgres", durable=False)
        postgres.start()
        try:
            database = asyncio.run(migrated_database(postgres))
            kafka = KafkaServer(folder / "kafka", ensure_libs(KAFKA_BUILD, print))
            with installed(database, folder / "system", SETTINGS, kafka) as stack:
                outcomes = _attack(Site.over(stack), names, not arguments.small)
        finally:
            postgres.stop()
    REPORT.parent.mkdir(exist_ok=True)
    given = shlex.join(sys.argv[1:])
    run = {
        "command": f'make attack ATTACK_ARGS="{given}"' if given else "make attack",
        "date": f"{began:%Y-%m-%d}",
        "cores": os.cpu_count(),
        "machine": str(quiet.read()),
        "attacks": outcomes,
    }
    REPORT.write_text(json.dumps(run, indent=1) + "\n")
    print(told(outcomes))
    failed = [str(outcome["attack"]) for outcome in outcomes if not outcome["passed"]]
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} withstood; figures: {REPORT}")
    return 1 if failed else 0


def _attack(site: Site, names: list[str], full: bool) -> list[dict[str, object]]:
    print(f"{_HEAD}\n{'─' * len(_HEAD)}", flush=True)
    outcomes: list[dict[str, object]] = []
    for name in names:
        began = time.perf_counter()
        figures: Figures = {}
        passed = True
        try:
            figures = asyncio.run(_run(site, name, full))
        except Exception:
            passed = False
            traceback.print_exc()
        took = round(time.perf_counter() - began, 1)
        print(_line(name, passed, took, figures), flush=True)
        outcomes.append(
            {"attack": name, "passed": passed, "full_size": full, "took_s": took, **figures}
        )
    return outcomes


async def _run(site: Site, name: str, full: bool) -> Figures:
    return await SCENARIOS[name](site, full)


def _line(name: str, passed: bool, took: float, figures: Figures) -> str:
    grown = []
    for process in ("core", "events"):
        if f"{process}_mib_peak" in figures:
            more = float(figures[f"{process}_mib_peak"]) - float(figures[f"{process}_mib_before"])
            grown.append(f"{process} {more:.0f} ({figures[f'{process}_mib_growth_allowed']:.0f})")
    slowest = [
        max(
            (float(v) for k, v in figures.items() if k.endswith(f"others_{what}_ms_max")), default=0
        )
        for what in ("push", "sync", "open")
    ]
    return (
        f"{name:<18}{'passed' if passed else 'FAILED':<8}{took:>6.1f}s{', '.join(grown):>46}"
        f"{' / '.join(f'{ms:.0f}' for ms in slowest):>52}"
    )


if __name__ == "__main__":
    sys.exit(main())
