"""The figures of each second of a load test."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

PERCENTILES: Final = (50.0, 95.0, 99.0)


def percentiles(values: array[float]) -> tuple[float, ...]:
    """The 50th, 95th and 99th percentile (nearest rank); empty if there are no values."""
    ordered = sorted(values)
    most = len(ordered) - 1
    return tuple(ordered[round(most * p / 100)] for p in PERCENTILES) if ordered else ()


@dataclass(frozen=True, slots=True)
class Second:
    """One second: what happened in it, and the state at its end.

    Latencies are (p50, p95, p99) in milliseconds; empty if none was measured.
    """

    at: float
    delivery_ms: tuple[float, ...]
    command_ms: tuple[float, ...]
    sync_ms: tuple[float, ...]
    health_ms: tuple[float, ...]
    counts: Mapping[str, int]
    """delivered, committed, synced, opened, refused, failed."""
    modes: Mapping[str, int]
    """Clients by mode: live, polling, starting, offline."""
    cpu: Mapping[str, float]
    """The CPU of each process, in percent of one core."""
    memory: Mapping[str, float]
    """The memory of each process, in MiB; memory that processes share is divided among them."""


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """The beginning of a fault, marked in the charts."""

    at: float
    name: str


class Tally:
    """Collects counts and durations: those since the last `take`, and those of the whole run."""

    KINDS: Final = ("delivery", "command", "sync", "health")

    def __init__(self) -> None:
        self._now: dict[str, array[float]] = {kind: array("d") for kind in self.KINDS}
        self._whole: dict[str, array[float]] = {kind: array("d") for kind in self.KINDS}
        self._counts: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """The counts of the whole run."""

    def took(self, kind: str, seconds: float) -> None:
        """Record a duration of this kind."""
        self._now[kind].append(seconds * 1000)

    def count(self, what: str) -> None:
        """Count one occurrence."""
        self._counts[what] += 1

    def add(self, counts: Mapping[str, int]) -> None:
        """Add these counts."""
        self._counts.update(counts)

    def take(
        self,
        at: float,
        modes: Mapping[str, int],
        cpu: Mapping[str, float],
        memory: Mapping[str, float],
    ) -> Second:
        """The second that ends now; the counts of the next begin at 0.

        Args:
            at: seconds since the start of the run.
            modes: how many clients are in each mode.
            cpu: percent of one core since the last call, by process.
            memory: MiB, by process.
        """
        parts = {kind: percentiles(values) for kind, values in self._now.items()}
        for kind, values in self._now.items():
            self._whole[kind].extend(values)
            self._now[kind] = array("d")
        counts, self._counts = dict(self._counts), Counter()
        self.counts.update(counts)
        return Second(
            at, parts["delivery"], parts["command"], parts["sync"], parts["health"],
            counts, dict(modes), dict(cpu), dict(memory),
        )  # fmt: skip

    def whole(self, kind: str) -> tuple[float, ...]:
        """The percentiles of this kind over the whole run, in milliseconds."""
        return percentiles(self._whole[kind])

    def size(self, kind: str) -> int:
        """The number of durations of this kind."""
        return len(self._whole[kind])


class Timeline:
    """The seconds of a run, and the faults that are marked in the charts."""

    def __init__(self) -> None:
        self.seconds: list[Second] = []
        self.marks: list[TimelineMark] = []

    def worst(self, field: str, start: float, end: float) -> float | None:
        """The greatest p99 of a latency between two times.

        Args:
            field: the name of a latency of `Second`, such as `delivery_ms`.
            start: the first second that counts, in seconds since the start of the run.
            end: the last one.

        Returns:
            Milliseconds; None: no such latency was measured in that time.
        """
        found = [
            values[2]
            for second in self.seconds
            if start <= second.at <= end and (values := getattr(second, field))
        ]
        return max(found, default=None)

    def as_rows(self) -> list[dict[str, Any]]:
        """All seconds, as values for JSON."""
        return [asdict(second) for second in self.seconds]
