"""Checks whether the machine had enough CPU for a run: how long this process waited for a core.

The clients, and the proxies between the servers, run in this process. If it gets too little CPU,
time-outs end good connections, and the fault of the scenario is only one of many.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, NamedTuple

STARVED_BELOW: Final = 0.5
"""A process is starved if it gets less than this share of the CPU time that it could use."""
_SCHEDSTAT: Final = Path("/proc/self/task")


class Scheduled(NamedTuple):
    """How long a thread has run, and has waited for a core, since it began."""

    ran_s: float
    waited_s: float

    def since(self, before: Scheduled) -> Scheduled:
        """The times since `before`."""
        return Scheduled(self.ran_s - before.ran_s, self.waited_s - before.waited_s)

    @property
    def share(self) -> float:
        """The share of the time in which it could have run that it has run: 0 to 1."""
        wanted_s = self.ran_s + self.waited_s
        return 1.0 if wanted_s <= 0 else self.ran_s / wanted_s


def scheduled() -> Scheduled | None:
    """The times of the calling thread; None: this system does not report them."""
    try:
        text = (_SCHEDSTAT / str(threading.get_native_id()) / "schedstat").read_text()
    except OSError:
        return None
    return parse(text)


def parse(text: str) -> Scheduled:
    """Parse Linux's `schedstat` of a thread: nanoseconds on a core, and waiting for one."""
    ran, waited, *_ = text.split()
    return Scheduled(int(ran) / 1e9, int(waited) / 1e9)


def complaint(before: Scheduled | None, after: Scheduled | None) -> str:
    """A text for a run that failed between these times; empty: the machine had enough CPU."""
    if before is None or after is None:
        return ""
    share = after.since(before).share
    if share >= STARVED_BELOW:
        return ""
    return f"the machine is busy: of the time that it could use this process got {share:.0%}"
