"""What is measured of a process, and the subscribers that it serves."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent


def compiled(name: str, build: Path) -> Path:
    """The C program of that name, compiled on the spot.

    Raises:
        RuntimeError: there is no compiler, or it fails.
    """
    build.mkdir(parents=True, exist_ok=True)
    program = build / name
    try:
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-o", str(program), str(_HERE / f"{name}.c")], check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{name}.c needs gcc; on Debian: apt-get install gcc") from error
    return program


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes so far, by the scheduler's own nanoseconds."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def private_kib(pids: Sequence[int]) -> int:
    """Private memory of these processes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean", "Private_Dirty")):
                total += int(line.split()[1])
    return total


@dataclass(frozen=True)
class Came:
    """What the subscribers got since they were last asked."""

    events: int
    p50_ms: float
    p99_ms: float
    closed: int


class Subscribers:
    """Connections of the C program.

    Args:
        program: where it is.
        port: of the server, on loopback.
        requests: one request head each.
        folder: for its file.
    """

    def __init__(self, program: Path, port: int, requests: Sequence[bytes], folder: Path) -> None:
        self._program = program
        self._port = port
        self._file = folder / f"requests-{port}"
        self._file.write_bytes(b"".join(requests))
        self._process: asyncio.subprocess.Process | None = None
        self._total = 0

    async def connect(self, within_s: float = 120.0) -> None:
        """Return once every one has been answered.

        Raises:
            RuntimeError: one was refused.
        """
        self._process = await asyncio.create_subprocess_exec(
            str(self._program), str(self._port), str(self._file),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            if not await self._process.stdout.readline():
                raise RuntimeError("the server refused a subscriber")

    async def mark(self) -> Came:
        """What came since the last mark."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"mark\n")
        said = json.loads(await self._process.stdout.readline())
        return Came(said["events"], said["p50_us"] / 1e3, said["p99_us"] / 1e3, said["closed"])

    async def gather(self, events: int, within_s: float) -> Came:
        """What came, once that is so many events in all, or the time is over; p50 and p99 are
        those of the part that came last, so wait before asking where they matter."""
        came = await self.mark()
        total, worst = came.events, came
        async with asyncio.timeout(within_s):
            while total < events:
                await asyncio.sleep(0.2)
                more = await self.mark()
                total += more.events
                worst = more if more.events else worst
        return Came(total, worst.p50_ms, worst.p99_ms, worst.closed)

    async def close(self) -> None:
        """Hang up."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
