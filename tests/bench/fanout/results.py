"""What a run found: one sample for each system, number of connections and round; and its files.

`build/bench.json` holds the medians of the systems, with a row about the machine in front.
`build/bench-push.json` holds every sample, from which the report is made.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tests.bench.fanout.machine import Quiet

Figure = Literal[
    "cpu_us_per_delivery", "cpu_us_per_connect", "kib_per_connection", "p50_ms", "p99_ms"
]
FIGURES: Final[tuple[Figure, ...]] = (
    "cpu_us_per_delivery", "cpu_us_per_connect", "kib_per_connection", "p50_ms", "p99_ms",
)  # fmt: skip
SYSTEMS: Final = (
    "yabam", "yabam-socket", "sse-starlette", "nchan", "durable-streams", "mercure", "centrifugo",
    "c-send",
)  # fmt: skip
MEDIANS: Final = Path("build/bench.json")
SAMPLES: Final = Path("build/bench-push.json")
FIREHOSE: Final = Path("build/bench-firehose.json")
WORKERS: Final = Path("build/bench-workers.json")
MANY: Final = Path("build/bench-many.json")
SLOW: Final = Path("build/bench-slow.json")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement; null: the system has no such figure, or it was not measured there."""

    system: str
    connections: int
    round: int
    cpu_us_per_delivery: float | None = None
    cpu_us_per_connect: float | None = None
    kib_per_connection: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    def get(self, figure: Figure) -> float | None:
        """One of its figures."""
        value: float | None = getattr(self, figure)
        return value


@dataclass(frozen=True, slots=True)
class Spread:
    """A ratio over the rounds: its median, its least and its greatest."""

    median: float
    least: float
    greatest: float


@dataclass(slots=True)
class Results:
    """A run's samples."""

    header: dict[str, Any]
    command: str
    compared: list[int]
    """The numbers of connections at which all systems were measured."""
    quiet: Quiet | None = None
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The measurements of other systems that came to nothing, and why."""

    @property
    def rounds(self) -> int:
        """How many there were."""
        return max((sample.round for sample in self.samples), default=0)

    def median(self, system: str, connections: int, figure: Figure) -> float | None:
        """The median over the rounds; None: there is no such figure."""
        found = self._values(system, connections, figure)
        return statistics.median(found.values()) if found else None

    def ratio(self, one: str, other: str, connections: int, figure: Figure) -> Spread | None:
        """One system beside another in the same round, over the rounds; None: one has no figure.

        Other work on the machine comes and goes, and within a round it burdens both alike.
        """
        ours = self._values(one, connections, figure)
        theirs = self._values(other, connections, figure)
        found = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
        return Spread(statistics.median(found), min(found), max(found)) if found else None

    def rows(self) -> list[dict[str, Any]]:
        """The medians of the systems, in the shape of `build/bench.json`."""
        return [
            {
                "system": system,
                "connections": n,
                **{figure: self.median(system, n, figure) for figure in FIGURES},
            }
            for n in self.compared
            for system in SYSTEMS
            if any(sample.system == system for sample in self.samples)
        ]

    def write(self, medians: Path = MEDIANS, samples: Path = SAMPLES) -> None:
        """Write both files."""
        _write(medians, [self.header, *self.rows()])
        kept = asdict(self) | {"quiet": self.quiet.write() if self.quiet else None}
        _write(samples, kept)

    @classmethod
    def read(cls, samples: Path = SAMPLES) -> Results:
        """What a run has written.

        Raises:
            OSError: there is no such file.
        """
        said = json.loads(samples.read_text())
        return cls(
            said["header"],
            said["command"],
            said["compared"],
            Quiet.read(said["quiet"]) if said["quiet"] else None,
            [Sample(**sample) for sample in said["samples"]],
            said.get("failures", []),
        )

    def _values(self, system: str, connections: int, figure: Figure) -> dict[int, float]:
        return {
            sample.round: value
            for sample in self.samples
            if sample.system == system
            and sample.connections == connections
            and (value := sample.get(figure)) is not None
        }


def _write(path: Path, value: dict[str, Any] | Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
