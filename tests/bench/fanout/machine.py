"""The machine of a run: its hardware, its programs' versions, and how quiet it was."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from tests.bench.fanout.peers import PEERS
from tests.bench.fanout.setup import outcomes

_POM: Final = Path("deploy/kafka/pom.xml")
_OTHER_FILES: Final = 200
_PACKAGES: Final = (
    "uvicorn", "uvloop", "httptools", "aiokafka", "starlette", "sse-starlette", "msgspec",
)  # fmt: skip


def header() -> dict[str, Any]:
    """Facts about the machine and the versions; null: it is not installed."""
    return {
        "machine": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "kafka": _kafka(),
        "nginx": _said_by("nginx", "-v").rpartition("/")[2] or None,
        "nchan": _said_by("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan") or None,
        "gcc": _said_by("gcc", "-dumpfullversion") or None,
        **_peers(),
    }


def _peers() -> dict[str, str]:
    known = outcomes()
    versions = {peer.name: known[peer.name].version for peer in PEERS if peer.name in known}
    return {name: said for name, said in versions.items() if said is not None}


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (text.split(":")[1].strip() for text in lines if text.startswith("model name"))
    return next(named, "unknown")


def _kafka() -> str:
    space = "{http://maven.apache.org/POM/4.0.0}"
    for dependency in ElementTree.parse(_POM).iter(f"{space}dependency"):
        if dependency.findtext(f"{space}artifactId", "").startswith("kafka"):
            return dependency.findtext(f"{space}version", "unknown")
    return "unknown"


def _said_by(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""


def allow_files(limit: int) -> None:
    """Raise the limit of open files to what the run needs. Children inherit it.

    If that is not allowed, ends the program and says what to do.
    """
    needed = limit + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        sys.exit(
            f"{limit:,} connections need {needed:,} open files, and at most {hard:,} are allowed "
            f"here. Raise the hard limit (as root: ulimit -n {needed}; in a container: --ulimit "
            f"nofile={needed}), or measure fewer: BENCH_ARGS='--connections 500 --scale 100 200'"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


@dataclass(frozen=True, slots=True)
class Quiet:
    """How quiet the machine was during a run; shares are of all cores."""

    load_before: float
    load_after: float
    idle: float
    stolen: float
    """Taken by the host for other machines."""
    others: float
    """Used by other processes than the run's own."""

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Quiet:
        """Read it as stored in a file."""
        return cls(**said)

    def write(self) -> dict[str, float]:
        """The values to store in a file."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"load average {self.load_before:.1f} before and {self.load_after:.1f} after; of all "
            f"cores {self.idle:.0%} idle, {self.stolen:.0%} stolen by the host, "
            f"{self.others:.0%} used by other processes"
        )


class QuietMeter:
    """Measures from its creation."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._times = _times()
        self._ours = _our_cpu()

    def read(self) -> Quiet:
        """How quiet it was so far. Our own processes that still run count as others."""
        user, nice, system, idle, wait, irq, softirq, steal = (
            after - before for after, before in zip(_times(), self._times, strict=True)
        )
        busy = user + nice + system + irq + softirq
        total = busy + idle + wait + steal
        ours = (_our_cpu() - self._ours) * os.sysconf("SC_CLK_TCK")
        return Quiet(
            self._load,
            os.getloadavg()[0],
            (idle + wait) / total,
            steal / total,
            max(0.0, busy - ours) / total,
        )


def _times() -> list[int]:
    first = Path("/proc/stat").read_text().splitlines()[0]
    return [int(text) for text in first.split()[1:9]]


def _our_cpu() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
