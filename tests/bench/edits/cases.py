"""The measured cases of edits, the targets, and the file with the figures."""

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
"""The operations with their names."""
SYNC_CASES: Final[tuple[SyncCase, ...]] = ("no document", "8 documents", "8 documents, first sync")

CLIENTS: Final = 64
MANY_STORES: Final = 1000
LINES: Final = {MANY_STORES: 4, 1: CLIENTS}
"""How many lines a cart has, by the number of stores: one for each of four phones or clients."""

SPREAD: Final = 3000
ONE_DOCUMENT: Final = 1000
SYNC_WITHIN: Final = 0.10
"""How much more a sync without news may cost if there are documents."""


@dataclass(frozen=True, slots=True)
class Point:
    """A case: the system, the operation, and the number of documents."""

    system: System
    operation: Operation
    stores: int


class Fanout(Struct, frozen=True):
    """The cost of edits that go to four phones each: CPU in µs per edit, without the idle cost."""

    edits_s: float
    tables: int
    phones: int
    """Phones at each table."""
    edits: int
    deliveries: int
    """How many events arrived at the phones, which is all that they should get."""
    cpu_us: dict[str, float]
    """CPU by process."""


class EditsRun(Struct, frozen=True):
    """All results of one run of the benchmark: the content of `build/bench-edits.json`."""

    command: str
    machine: str
    rounds: int
    """How many rounds the medians are from; fewer than requested if the time was up."""
    took_s: float
    results: list[tuple[Point, Sample]]
    syncs: dict[SyncCase, Sample]
    fanout: Fanout | None
