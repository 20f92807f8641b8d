"""Compares each operation with a bare protocol: `python -m tests.bench.quick [--keep]`.

Takes less than two minutes on a quiet machine. It gives the CPU of each operation as a ratio to
that of a bare protocol in the same round, and compares this ratio with the median of the last ten
runs in `results.json` beside this file. `--keep` adds this run to the file; then commit it. No
figure makes the run fail.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from deploy.kafka.server import KafkaServer, ensure_libs
from deploy.local.postgres import EmbeddedPostgres
from event_server.main import collect_rarely
from tests.bench.fanout.machine import allow_files, header
from tests.bench.fanout.measure import compiled
from tests.bench.quick.measured import Answered, Firehose, Pushed
from tests.bench.quick.results import Result, Round, decode, encode, figures, kept, report
from tests.bench.sync.systems import running

_FILE: Final = Path(__file__).with_name("results.json")
_MAX_FILES: Final = 2000


def measure(options: argparse.Namespace, folder: Path) -> list[Round]:
    """Measure as many rounds as requested, fewer on a slow machine, but at least one."""
    ends_at = time.monotonic() + options.within
    postgres = EmbeddedPostgres(folder / "postgres", max_connections=200)
    kafka = KafkaServer(folder / "kafka", ensure_libs(Path("build/kafka"), print))
    rounds: list[Round] = []
    postgres.start()
    try:
        kafka.start()
        try:
            answered = Answered(postgres, folder)
            pushed = Pushed(kafka.bootstrap, compiled("subscribers", Path("build/bench")), folder)
            firehose = Firehose(kafka.bootstrap)
            with running([answered.core.process]):
                answered.core.start()
                answered.measure()  # to warm up
                longest = 0.0
                while len(rounds) < options.rounds:
                    began = time.monotonic()
                    if rounds and began + longest > ends_at:
                        print(f"the time is up: {len(rounds)} of {options.rounds} rounds count")
                        break
                    rounds.append(answered.measure() | pushed.measure() | firehose.measure())
                    longest = max(longest, time.monotonic() - began)
        finally:
            kafka.stop()
    finally:
        postgres.stop()
    return rounds


def _commit() -> str:
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _colours() -> bool:
    if "NO_COLOR" in os.environ:
        return False
    return sys.stdout.isatty() or "CI" in os.environ


def main() -> int:
    """Measure, print, and keep the run if requested. The exit code only says whether it ran."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quick", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--within", type=float, default=100, help="seconds for all (default 100)")
    parser.add_argument("--keep", action="store_true", help="add the run to those in the file")
    parser.add_argument("--file", type=Path, default=_FILE)
    options = parser.parse_args()
    allow_files(_MAX_FILES)
    collect_rarely()
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="yabam-quick-") as name:
        Path(name).chmod(0o711)
        try:
            rounds = measure(options, Path(name))
        except YabamError as error:
            print(error, file=sys.stderr)
            return 1
    head = header()
    machine = f"{head['cores']} cores of {head['machine']}"
    new = Result(head["date"], _commit(), machine, len(rounds), round(load, 1), figures(rounds))
    before = decode(options.file.read_bytes()) if options.file.exists() else []
    for line in report(new, before, colours=_colours()):
        print(line)
    print(f"took {time.monotonic() - began:.0f} s")
    if options.keep:
        options.file.write_bytes(encode(kept(before, new)))
        print(f"written: {options.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
