"""The measured cases, the figures, and their targets."""

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
    """A case: the system, the number of clients, and the length of the log."""

    system: System
    clients: int
    case: Case
    log_events: int


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run of the load generator."""

    req_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    """The number of error answers and of requests without an answer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: the load, and the CPU (seconds per second) that it cost."""

    load: Load
    server_cpu: float
    """The CPU of Core or of its rival."""
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
    """The server's CPU for a request, in microseconds."""
    postgres_cpu_us: float


class Run(Struct, frozen=True):
    """All results of one run of the benchmark, for `docs/performance.md`."""

    command: str
    machine: str
    rounds: int
    """How many rounds the medians are from; fewer than requested if the time was up."""
    took_s: float
    results: list[tuple[Point, Sample]]
    commands: dict[str, Sample]


def median(samples: list[Sample]) -> Sample:
    """The sample with the median rate (the slower of two). It is one whole run, not a mix."""
    return sorted(samples, key=lambda sample: sample.load.req_s)[(len(samples) - 1) // 2]


def row_of(point: Point, sample: Sample) -> Row:
    """The published figures of a case."""
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
    """The file of the `Run` whose rows are in `out`."""
    return out.with_name(f"{out.stem}-details.json")


def encode_rows(rows: list[Row]) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n"
