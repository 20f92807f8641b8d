"""The lower limit: pgbench sends Core's own statement for one channel, without HTTP or Python."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core_api.postgres.pool import PLANNER
from core_api.sync.queries import PageQuery
from core_api.sync.reading import PAGES
from core_api.sync.request import DEFAULT_LIMIT
from deploy.local.postgres import binaries
from tests.bench.sync.cases import Load
from tests.bench.sync.wrk import BenchError

_SETTINGS: Final = " ".join(f"-c {name}={value}" for name, value in PLANNER.items())


def run_pgbench(url: str, channels: int, after: int, clients: int, seconds: int) -> Load:
    """Ask for random channels, with a prepared statement on each of `clients` connections.

    Raises:
        BenchError: pgbench failed.
    """
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="yabam-pgbench-") as name:
        folder = Path(name)
        script = folder / "sync.sql"
        script.write_text(_script(channels, after))
        done = subprocess.run(
            [
                *(str(binaries() / "pgbench"), "-n", "-M", "prepared", "-j", "2"),
                *("-l", "--log-prefix", str(folder / "log"), "-f", str(script)),
                *("-c", str(clients), "-T", str(seconds)),
                *("-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username)),
                parts.path[1:],
            ],
            env={"PGOPTIONS": _SETTINGS},
            capture_output=True,
            text=True,
            check=False,
        )
        tps = next((x for x in done.stdout.splitlines() if x.startswith("tps = ")), None)
        if done.returncode != 0 or tps is None:
            raise BenchError(f"pgbench failed:\n{done.stdout}{done.stderr}")
        failed = next(x for x in done.stdout.splitlines() if "failed transactions" in x)
        latencies = [
            int(line.split(" ", 3)[2]) / 1e3
            for log in folder.glob("log*")
            for line in log.read_text().splitlines()
        ]
    percentiles = statistics.quantiles(latencies, n=100)
    return Load(
        float(tps.split()[2]),
        percentiles[49],
        percentiles[98],
        int(failed.split(":")[1].split()[0]),
    )


def _script(channels: int, after: int) -> str:
    statement = PAGES.strip()
    page = PageQuery("", after, DEFAULT_LIMIT)
    arguments = ("ARRAY['store:' || :store]", *(f"ARRAY[{value}]" for value in page[1:]))
    for place, argument in enumerate(arguments, 1):
        statement = statement.replace(f"${place}", argument)
    return f"\\set store random(1, {channels})\n{statement};\n"
