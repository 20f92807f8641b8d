"""CPU and memory of processes and their children, by name; a process may die and come again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import psutil

GENERATOR: Final = "load test"
"""The process that places the orders and measures."""
CLIENTS: Final = "clients"
"""The processes that play the clients. Where one of them, or of the above, is near 100 %, latencies
are partly its own."""
_LEAST_S: Final = 0.5
"""The kernel counts CPU in hundredths of a second: a share of a shorter time says nothing."""


class Usage:
    """Samples them.

    Args:
        pids: the processes to look at, by name, as they are now; their children are theirs.
        clients: the processes that play the clients.
    """

    def __init__(
        self, pids: Callable[[], Mapping[str, int]], clients: Callable[[], Sequence[int]]
    ) -> None:
        self._pids = pids
        self._clients = clients
        self._known: dict[tuple[str, int], float] = {}
        self._totals: dict[str, float] = {}
        self._last: float | None = None

    def sample(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU since the last sample in percent of one core, and MiB of memory, by name."""
        now = time.monotonic()
        cpu: dict[str, float] = {}
        memory: dict[str, float] = {}
        families = {name: _family(pid) for name, pid in self._pids().items()}
        families[GENERATOR] = _alone([os.getpid()])
        families[CLIENTS] = _alone(self._clients())
        for name, family in families.items():
            used = owned = 0.0
            for process in family:
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


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _alone(pids: Sequence[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found
