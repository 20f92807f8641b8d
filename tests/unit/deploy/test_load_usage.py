"""What a load test looks at each second, and how little of it costs time."""

from __future__ import annotations

import os
from collections import Counter

import psutil
import pytest

from deploy.load.measured.usage import CLIENTS, GENERATOR, Usage

OURS = os.getpid()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often the kernel was asked for the memory of each process."""
    asked: Counter[int] = Counter()
    real = psutil.Process.memory_full_info

    def counted(process: psutil.Process) -> object:
        asked[process.pid] += 1
        return real(process)

    monkeypatch.setattr(psutil.Process, "memory_full_info", counted)
    return asked


def test_each_sample_walks_the_pages_of_one_name_only(looks: Counter[int]) -> None:
    usage = Usage(lambda: {"core": OURS, "relay": OURS, "events": OURS}, list)
    usage.sample()
    looks.clear()
    for _ in range(5):
        _, memory = usage.sample()
        assert set(memory) == {"core", "relay", "events", GENERATOR, CLIENTS}
    most = 1 + len(psutil.Process().children(recursive=True))
    assert looks[OURS] == 4, "once for each name that has a process"
    assert looks.total() <= 4 * most


def test_a_process_that_was_started_anew_is_looked_at_at_once(looks: Counter[int]) -> None:
    parent = os.getppid()
    pids = {"events": OURS}
    usage = Usage(lambda: pids, list)
    usage.sample()
    pids["events"] = parent
    looks.clear()
    usage.sample()
    assert looks[parent] >= 1


def test_cpu_is_that_of_every_name_in_every_sample() -> None:
    usage = Usage(lambda: {"core": OURS}, lambda: [OURS])
    usage.sample()
    before = sum(psutil.Process().cpu_times()[:2])
    while sum(psutil.Process().cpu_times()[:2]) < before + 0.05:
        pass
    usage.sample()
    assert all(usage.cpu_seconds()[name] >= 0.04 for name in ("core", GENERATOR, CLIENTS))
