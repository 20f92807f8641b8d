"""What is measured of a process, and the subscribers that it serves."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.fanout.child import Child

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


def children_of(pid: int) -> list[int]:
    """The processes that this one has started from its first thread."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(frozen=True)
class Came:
    """What the subscribers got since they were last asked."""

    events: int
    p50_ms: float
    p99_ms: float
    closed: int
    slow_closed: int
    """Of the slow ones, how many the server has hung up on."""


class Subscribers:
    """Connections of the C program.

    Args:
        program: where it is.
        folder: for its file.
        source: the address that they come from.
        slow_every: each one of so many reads a byte a second; 0: none does.
    """

    def __init__(
        self, program: Path, folder: Path, source: str = "127.0.0.1", slow_every: int = 0
    ) -> None:
        self._more = (source, str(slow_every))
        self._program = program
        self._folder = folder
        self._child = Child()

    async def connect(self, port: int, requests: Sequence[bytes], within_s: float = 120.0) -> None:
        """Send these request heads to loopback, and return once every one has been answered.

        Raises:
            RuntimeError: one was refused.
        """
        file = self._folder / f"requests-{port}-{self._more[0]}"
        file.write_bytes(b"".join(requests))
        await self._child.start(str(self._program), str(port), str(file), *self._more, quiet=False)
        async with asyncio.timeout(within_s):
            if not await self._child.hear():
                raise RuntimeError("the server refused a subscriber")

    async def mark(self) -> Came:
        """What came since the last mark."""
        said = json.loads(await self._child.ask("mark"))
        p50, p99 = said["p50_us"] / 1e3, said["p99_us"] / 1e3
        return Came(said["events"], p50, p99, said["closed"], said["slow_closed"])

    async def gather(self, events: int, within_s: float) -> Came:
        """What came, once that is so many events in all; p50 and p99 are those of the part that
        came last, so wait before asking where they matter.

        Raises:
            RuntimeError: fewer came within that many seconds.
        """
        came = await self.mark()
        total, worst = came.events, came
        try:
            async with asyncio.timeout(within_s):
                while total < events:
                    await asyncio.sleep(0.2)
                    more = await self.mark()
                    total += more.events
                    worst = more if more.events else worst
        except TimeoutError:
            hung_up = f", {worst.closed:,} connections were closed" if worst.closed else ""
            raise RuntimeError(
                f"{total:,} of {events:,} events came within {within_s:g} s{hung_up}"
            ) from None
        return Came(total, worst.p50_ms, worst.p99_ms, worst.closed, worst.slow_closed)

    async def close(self) -> None:
        """Hang up."""
        await self._child.stop()
