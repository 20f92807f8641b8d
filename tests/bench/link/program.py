"""The program `link.c`: made, started and asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.fanout.child import Child
from tests.bench.link.network import LinkError, not_queued

NEAR: Final = "10.77.0.1"
FAR: Final = "10.77.0.2"
SOURCES: Final = Path(__file__).parent


def compiled(build: Path) -> Path:
    """The program, made from its sources in this folder.

    Raises:
        LinkError: there is no C compiler, or it fails.
    """
    return _made(build / "link", "delay_line.c", "link.c")


def compiled_delay_line(build: Path) -> Path:
    """Its pure part alone, as a library.

    Raises:
        LinkError: there is no C compiler, or it fails.
    """
    return _made(build / "delay_line.so", "-shared", "-fPIC", "delay_line.c")


def _made(made: Path, *of: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LinkError("a link needs a C compiler; on Debian: apt-get install gcc")
    made.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(made.resolve()), *of],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LinkError(f"the link cannot be compiled: {done.stderr.strip()}")
    return made


@dataclass(frozen=True, slots=True)
class Direction:
    """Packets of one direction so far."""

    came: int
    lost: int
    """Dropped at random, as set."""
    no_room: int
    """Dropped because the link was full."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a link has carried so far."""

    there: Direction
    """From near to far."""
    back: Direction
    not_queued: int
    """What did not even come into the link: it was too slow."""

    @property
    def came(self) -> int:
        """All packets."""
        return self.there.came + self.back.came

    @property
    def lost(self) -> int:
        """Those that were to be lost."""
        return self.there.lost + self.back.lost

    @property
    def overflowed(self) -> int:
        """Those that were lost beside them, since link or machine could not keep up."""
        return self.there.no_room + self.back.no_room + self.not_queued


@dataclass(frozen=True, slots=True)
class Quality:
    """What a link does to packets."""

    delay_ms: float
    """In each direction."""
    loss: float
    """The probability, in each direction."""
    seed: int = 1


class Link:
    """A link from this process' network (`NEAR`) to one that it makes (`FAR`).

    Args:
        program: where it is.
        quality: what it does to packets.
    """

    def __init__(self, program: Path, quality: Quality) -> None:
        self._program = program
        self._quality = quality
        self._child = Child()

    async def start(self) -> None:
        """Return once packets go through.

        Raises:
            LinkError: they will not; the program has said on the standard error why.
        """
        delay_us = round(self._quality.delay_ms * 1000)
        more = (str(delay_us), repr(self._quality.loss), str(self._quality.seed))
        await self._child.start(str(self._program), NEAR, FAR, *more, quiet=False)
        if not await self._child.hear():
            raise LinkError("the link could not be made")

    @property
    def pid(self) -> int:
        """Of a process of the far network."""
        return self._child.pid

    @property
    def at_far_end(self) -> tuple[str, ...]:
        """What is put before a command for it to run in the far network."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    async def carried(self) -> Carried:
        """What it has carried so far."""
        said: Mapping[str, Any] = json.loads(await self._child.ask("count"))
        lost_before = not_queued(os.getpid()) + not_queued(self.pid)
        return Carried(Direction(**said["there"]), Direction(**said["back"]), lost_before)

    async def stop(self) -> None:
        """End it, and what still goes through it."""
        await self._child.stop()
