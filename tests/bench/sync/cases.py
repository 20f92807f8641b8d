"""What is measured: the cases, the figures, and the targets that they are held to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

System = Literal["yabam", "sqlalchemy", "asyncpg", "pgbench"]
Case = Literal["nothing-new", "three-behind"]

SYSTEMS: Final[tuple[System, ...]] = ("yabam", "sqlalchemy", "asyncpg", "pgbench")
BEHIND: Final[dict[Case, int]] = {"nothing-new": 0, "three-behind": 3}
"""How many events the clients of each case have not seen."""

OVER_SQLALCHEMY: Final[dict[Case, float]] = {"nothing-new": 6.0, "three-behind": 5.0}
OVER_SQLALCHEMY_PER_CPU: Final[dict[Case, float]] = {"nothing-new": 10.0}
OVER_ASYNCPG: Final = 1.7
FLAT_WITHIN: Final = 0.10
COMMANDS_MANY: Final = 3000
COMMANDS_ONE: Final = 1200


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to measure: who answers, for how many clients, over how long a log."""

    system: System
    clients: int
    case: Case
    log_events: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load generator saw."""

    req_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    """Answers that were an error, and requests without an answer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: the load, and the CPU (seconds per second) that it cost."""

    load: Load
    server_cpu: float
    """Of Core, or of the process that stands in for it."""
    postgres_cpu: float
    generator_cpu: float


class Row(Struct, frozen=True):
    """One line of `build/bench-sync.json`."""

    system: System
    clients: int
    case: Case
    log_events: int
    req_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of the server for a request, in microseconds."""
    postgres_cpu_us: float


class Run(Struct, frozen=True):
    """All that one run of the benchmark found, for `docs/performance.md`."""

    command: str
    machine: str
    rounds: int
    """Whose medians these are; fewer than asked for where the time was up."""
    took_s: float
    results: list[tuple[Point, Sample]]
    commands: dict[str, Sample]


def median(samples: list[Sample]) -> Sample:
    """The sample in the middle by its rate, of two the slower: a whole run, no mix of several."""
    return sorted(samples, key=lambda sample: sample.load.req_s)[(len(samples) - 1) // 2]


def row_of(point: Point, sample: Sample) -> Row:
    """The published figures of a point."""
    load = sample.load
    return Row(
        point.system,
        point.clients,
        point.case,
        point.log_events,
        round(load.req_s, 1),
        round(load.p50_ms, 3),
        round(load.p99_ms, 3),
        round(per_request_us(sample.server_cpu, sample), 1),
        round(per_request_us(sample.postgres_cpu, sample), 1),
    )


def per_request_us(cpu: float, sample: Sample) -> float:
    """The CPU of a request in microseconds, of `cpu` seconds per second."""
    return cpu / sample.load.req_s * 1e6


def details_of(out: Path) -> Path:
    """Where the `Run` stands whose rows are in `out`."""
    return out.with_name(f"{out.stem}-details.json")


def encode_rows(rows: list[Row]) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n"
