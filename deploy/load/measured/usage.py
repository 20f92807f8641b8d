"""CPU and memory of processes and their children, by name; a process may die and come again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Final

import psutil

GENERATOR: Final = "load test"
"""The process that plays the clients: where it is near 100 %, latencies are partly its own."""
_LEAST_S: Final = 0.5
"""The kernel counts CPU in hundredths of a second: a share of a shorter time says nothing."""


class Usage:
    """Samples them.

    Args:
        pids: the processes to look at, by name, as they are now.
    """

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._known: dict[tuple[str, int], float] = {}
        self._totals: dict[str, float] = {}
        self._last: float | None = None

    def sample(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU since the last sample in percent of one core, and MiB of memory, by name."""
        now = time.monotonic()
        cpu: dict[str, float] = {}
        memory: dict[str, float] = {}
        for name, pid in {**self._pids(), GENERATOR: os.getpid()}.items():
            used = owned = 0.0
            for process in _family(pid, alone=name == GENERATOR):
                try:
                    times = process.cpu_times()
                    owned += process.memory_full_info().pss / 2**20
                except psutil.Error:
                    continue
                spent = times.user + times.system
                used += spent - self._known.get((name, process.pid), spent)
                self._known[name, process.pid] = spent
            self._totals[name] = self._totals.get(name, 0.0) + used
            memory[name] = owned
            if self._last is not None and now > self._last + _LEAST_S:
                cpu[name] = 100 * used / (now - self._last)
        self._last = now
        return cpu, memory

    def cpu_seconds(self) -> dict[str, float]:
        """Of each name, over all samples."""
        return dict(self._totals)


def _family(pid: int, *, alone: bool) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent] if alone else [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []
