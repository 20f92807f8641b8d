"""Measures CPU and memory of processes and their children; a process may be restarted."""

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
"""The processes that run the clients. If one of them, or the process above, uses nearly 100 % of a
core, it causes a part of the measured latency."""
_LEAST_S: Final = 0.5
"""The kernel counts CPU in hundredths of a second: over a shorter time a share is too inexact."""


class Usage:
    """Measures CPU and memory, by name.

    Each sample looks for new children and measures memory for one name only, in turn. To measure
    memory the kernel visits all pages of a process, which takes milliseconds for a large one.

    Args:
        pids: returns the processes to measure now, by name; their children are included.
        clients: returns the processes that run the clients.
    """

    def __init__(
        self, pids: Callable[[], Mapping[str, int]], clients: Callable[[], Sequence[int]]
    ) -> None:
        self._pids = pids
        self._clients = clients
        self._families: dict[str, tuple[tuple[int, ...], list[psutil.Process]]] = {}
        self._memory: dict[str, float] = {}
        self._turn = 0
        self._known: dict[tuple[str, int], float] = {}
        self._totals: dict[str, float] = {}
        self._last: float | None = None

    def sample(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU since the last sample in percent of one core, and memory in MiB, by name.

        Memory is what was measured last. This takes milliseconds, so it must not be called on the
        event loop.
        """
        now = time.monotonic()
        cpu: dict[str, float] = {}
        heads = {name: (pid,) for name, pid in self._pids().items()}
        whole = {GENERATOR: (os.getpid(),), CLIENTS: tuple(self._clients())}
        names = [*heads, *whole]
        self._turn = (self._turn + 1) % len(names)
        for place, name in enumerate(names):
            pids = heads.get(name) or whole[name]
            before = self._families.get(name)
            if before is None or before[0] != pids or place == self._turn:
                family = _family(pids[0]) if name in heads else _alone(pids)
                self._families[name] = pids, family
                self._memory[name] = sum(map(_memory_mib, family))
            used = 0.0
            for process in self._families[name][1]:
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                spent = times.user + times.system
                used += spent - self._known.get((name, process.pid), spent)
                self._known[name, process.pid] = spent
            self._totals[name] = self._totals.get(name, 0.0) + used
            if self._last is not None and now > self._last + _LEAST_S:
                cpu[name] = 100 * used / (now - self._last)
        self._last = now
        return cpu, dict(self._memory)

    def cpu_seconds(self) -> dict[str, float]:
        """The CPU seconds of each name, over all samples."""
        return dict(self._totals)


def _memory_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 2**20
    except psutil.Error:
        return 0.0


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
