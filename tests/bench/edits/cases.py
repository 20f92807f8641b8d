"""What is measured of edits: the cases, the targets, and the file with the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct

from tests.bench.sync.cases import Sample

System = Literal["yabam", "sqlalchemy"]
Operation = Literal["ring", "line"]
SyncCase = Literal["no document", "8 documents", "8 documents, first sync"]

SYSTEMS: Final[tuple[System, ...]] = ("yabam", "sqlalchemy")
OPERATIONS: Final[dict[Operation, str]] = {"ring": "call ring on bell", "line": "merge into cart"}
"""Each with what it is called."""
SYNC_CASES: Final[tuple[SyncCase, ...]] = ("no document", "8 documents", "8 documents, first sync")

CLIENTS: Final = 64
MANY_STORES: Final = 1000
LINES: Final = {MANY_STORES: 4, 1: CLIENTS}
"""How many lines a cart has, by the number of stores: four phones, or one for each client."""

SPREAD: Final = 3000
ONE_DOCUMENT: Final = 1000
SYNC_WITHIN: Final = 0.10
"""So much more may a sync cost that brings nothing, if there are documents."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to measure: who settles which operation, over how many documents."""

    system: System
    operation: Operation
    stores: int


class Fanout(Struct, frozen=True):
    """What edits cost that go to four phones each: CPU in µs per edit, without the idle cost."""

    edits_s: float
    tables: int
    phones: int
    """At each table."""
    edits: int
    deliveries: int
    """What arrived at the phones: all that was due."""
    cpu_us: dict[str, float]
    """By process."""


class EditsRun(Struct, frozen=True):
    """All that one run of the benchmark found: the content of `build/bench-edits.json`."""

    command: str
    machine: str
    rounds: int
    """Whose medians these are; fewer than asked for where the time was up."""
    took_s: float
    results: list[tuple[Point, Sample]]
    syncs: dict[SyncCase, Sample]
    fanout: Fanout | None
