"""Load over HTTP with wrk, a generator in C that needs a tenth of Core's CPU per request."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.errors import YabamError
from tests.bench.sync.cases import Load

_SCRIPT: Final = Path(__file__).with_name("load.lua")
_MARK: Final = "JSON"


class BenchError(YabamError):
    """A tool of the benchmark is missing, or a run went wrong."""


class Request(Struct, frozen=True):
    """One request of the load."""

    method: str
    path: str
    token: str
    body: str = ""


class _Summary(Struct, frozen=True):
    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    failed: int


def write_requests(path: Path, requests: Sequence[Request]) -> Path:
    """Write the file that `load.lua` reads."""
    lines = (f"{r.method}\t{r.path}\t{r.token}\t{r.body}\n" for r in requests)
    path.write_text("".join(lines))
    return path


def run_wrk(url: str, requests: Path, clients: int, seconds: int, seed: int) -> Load:
    """Send requests of the file from `clients` connections, each one at a time.

    Raises:
        BenchError: wrk is not installed, or it failed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is missing; on Debian: apt-get install wrk")
    done = subprocess.run(
        [
            *(wrk, "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s"),
            *("-s", str(_SCRIPT), url, "--", str(requests), str(seed)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    line = next((x for x in done.stdout.splitlines() if x.startswith(_MARK)), None)
    if done.returncode != 0 or line is None:
        raise BenchError(f"wrk failed:\n{done.stdout}{done.stderr}")
    summary = msgspec.json.decode(line.removeprefix(_MARK), type=_Summary)
    return Load(
        summary.requests / (summary.duration_us / 1e6),
        summary.p50_us / 1e3,
        summary.p99_us / 1e3,
        summary.failed,
    )
