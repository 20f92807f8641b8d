"""The results of a quick run, the last ten kept runs, and what has changed since. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

KEPT: Final = 10
SHOWN_FROM: Final = 0.15
"""Larger changes than this are shown in colour."""

Floor = Literal["delivery", "connect", "answer"]
"""The operations of the bare protocol."""

OPERATIONS: Final[dict[str, Floor]] = {
    "delivery": "delivery",
    "connect": "connect",
    "sync, nothing new": "answer",
    "sync, three behind": "answer",
    "order": "answer",
    "edit": "answer",
    "firehose record": "answer",
}
"""Each operation with the bare protocol's operation that it is compared with."""

_RED: Final = "\x1b[31m"
_GREEN: Final = "\x1b[32m"
_PLAIN: Final = "\x1b[0m"


class Figure(Struct, frozen=True):
    """The figures of one operation."""

    cpu_us: float
    """The CPU of our process and of PostgreSQL together."""
    ratio: float
    """The ratio to the bare protocol in the same round: the median over the rounds."""


class Result(Struct, frozen=True):
    """The results of one run."""

    date: str
    commit: str
    machine: str
    rounds: int
    load: float
    """The load average at the start: how busy the machine was."""
    operations: dict[str, Figure]


Round = dict[str, float]
"""µs of CPU of each operation. Those of the bare protocol are `bare delivery` and so on."""


def figures(rounds: Sequence[Round]) -> dict[str, Figure]:
    """The figures of a run, from its rounds."""
    found = {}
    for name, floor in OPERATIONS.items():
        measured = [one for one in rounds if name in one]
        if measured:
            ratios = [one[name] / one[f"bare {floor}"] for one in measured]
            cost = statistics.median(one[name] for one in measured)
            found[name] = Figure(round(cost, 2), round(statistics.median(ratios), 3))
    return found


def kept(before: Sequence[Result], new: Result) -> list[Result]:
    """The last ten runs, oldest first, with the new one."""
    return [*before, new][-KEPT:]


def report(new: Result, before: Sequence[Result], *, colours: bool) -> Iterator[str]:
    """The lines that show what has changed.

    Args:
        new: this run.
        before: the kept runs; those of other machines are ignored.
        colours: whether to show large changes in colour, with the terminal's own codes.
    """
    alike = [one for one in before if one.machine == new.machine]
    yield (
        f"{new.machine}, {new.rounds} rounds, load average {new.load:.1f}; compared with the "
        f"median of {len(alike)} earlier runs on such a machine"
    )
    yield f"{'operation':<20}{'µs of CPU':>10}{'× bare':>10}{'before':>10}{'change':>10}"
    for name, figure in new.operations.items():
        known = [one.operations[name].ratio for one in alike if name in one.operations]
        shown = f"{name:<20}{figure.cpu_us:>10.2f}{figure.ratio:>10.2f}"
        if not known:
            yield f"{shown}{'':>10}{'new':>10}"
            continue
        usual = statistics.median(known)
        change = figure.ratio / usual - 1
        yield f"{shown}{usual:>10.2f}{_coloured(change, colours=colours)}"


def _coloured(change: float, *, colours: bool) -> str:
    text = f"{change:>+10.0%}"
    if not colours or abs(change) <= SHOWN_FROM:
        return text
    return f"{_RED if change > 0 else _GREEN}{text}{_PLAIN}"


def decode(data: bytes) -> list[Result]:
    """The runs of the file.

    Raises:
        msgspec.DecodeError: the file is damaged.
    """
    return msgspec.json.decode(data, type=list[Result])


def encode(results: Sequence[Result]) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
