"""Whether the machine had time for a run: how long this process was ready to run and had to wait.

The clients, and the proxies between the servers, live in this process. Where it gets little of the
processor, time-outs end connections that nothing is wrong with, and a fault that the run injects is
one of many.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, NamedTuple

STARVED_BELOW: Final = 0.5
"""A process that gets less of the time that it could use is starved."""
_SCHEDSTAT: Final = Path("/proc/self/task")


class Scheduled(NamedTuple):
    """How a thread was scheduled, since it began."""

    ran_s: float
    waited_s: float

    def since(self, before: Scheduled) -> Scheduled:
        """The same from then to now."""
        return Scheduled(self.ran_s - before.ran_s, self.waited_s - before.waited_s)

    @property
    def share(self) -> float:
        """How much it got of the time in which it could have run: 0 to 1."""
        wanted_s = self.ran_s + self.waited_s
        return 1.0 if wanted_s <= 0 else self.ran_s / wanted_s


def scheduled() -> Scheduled | None:
    """How the calling thread was scheduled; None: this system does not say."""
    try:
        text = (_SCHEDSTAT / str(threading.get_native_id()) / "schedstat").read_text()
    except OSError:
        return None
    return parse(text)


def parse(text: str) -> Scheduled:
    """Read what Linux says of a thread: nanoseconds on the processor, and ready but waiting."""
    ran, waited, *_ = text.split()
    return Scheduled(int(ran) / 1e9, int(waited) / 1e9)


def complaint(before: Scheduled | None, after: Scheduled | None) -> str:
    """What is said of a run that failed in between; empty: the machine had time for it."""
    if before is None or after is None:
        return ""
    share = after.since(before).share
    if share >= STARVED_BELOW:
        return ""
    return f"the machine is busy: of the time that it could use this process got {share:.0%}"
