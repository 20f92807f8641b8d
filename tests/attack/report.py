"""What each stall cost others: judged on the terminal, and published.

`python -m tests.attack.report` puts the table of the last `make attack` into `docs/reliability.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.attack.others import KINDS
from tests.attack.stalls import TARGET
from tests.chaos.report import put_between

REPORT: Final = Path("build/attack.json")
DOCUMENT: Final = Path("docs/reliability.md")
MARK: Final = "attack"
"""The name of the marks in the document."""
_WHAT: Final = {
    "commands": "a command, answered",
    "applied": "a command by Kafka, until a sync shows it",
    "syncs": "a sync",
    "pushes": "a command, until it is pushed",
}
Outcome = Mapping[str, Any]


class Stall(NamedTuple):
    """What one stall cost others for one kind of work; times in milliseconds."""

    attack: str
    kind: str
    p50: tuple[float, float]
    """Without the stall and with it: medians over the rounds."""
    p99: tuple[float, float]
    ratio: float
    """By how much p99 grew: the median of the rounds' own ratios."""
    spread: tuple[float, float]
    """The smallest and the largest ratio of a round."""
    judged: bool
    """Whether the run was large enough to be judged."""

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if not self.judged:
            return "not judged"
        return "met" if self.ratio <= TARGET else "MISSED"


def stalls_of(outcomes: Sequence[Outcome]) -> list[Stall]:
    """All costs to others, in the order of the run. A run in small size is not judged."""
    return [
        Stall(
            outcome["attack"],
            kind,
            (outcome[f"{kind}_p50_ms_without"], outcome[f"{kind}_p50_ms_with"]),
            (outcome[f"{kind}_p99_ms_without"], outcome[f"{kind}_p99_ms_with"]),
            outcome[f"{kind}_p99_ratio"],
            (outcome[f"{kind}_p99_ratio_least"], outcome[f"{kind}_p99_ratio_most"]),
            bool(outcome["full_size"]),
        )
        for outcome in outcomes
        for kind in KINDS
        if f"{kind}_p99_ratio" in outcome
    ]


def told(outcomes: Sequence[Outcome]) -> str:
    """The table for the terminal, and the missed targets; "" for a run without stalls."""
    stalls = stalls_of(outcomes)
    if not stalls:
        return ""
    names = ("p50, ms", "stalled", "p99, ms", "stalled", "ratio", "rounds", "")
    head = f"{'stall':<18}{'others':<10}" + "".join(f"{name:>13}" for name in names)
    lines = [
        f"{one.attack:<18}{one.kind:<10}"
        + "".join(f"{ms:>13}" for ms in (*one.p50, *one.p99))
        + f"{one.ratio:>13}{f'{one.spread[0]} to {one.spread[1]}':>13}{one.verdict:>13}"
        for one in stalls
    ]
    return "\n".join(["", head.rstrip(), *lines, _summary(stalls)])


def _summary(stalls: Sequence[Stall]) -> str:
    judged = [one for one in stalls if one.judged]
    missed = [one for one in judged if one.verdict == "MISSED"]
    if not judged:
        return "In small size nothing is judged."
    said = f"p99 of others at most {TARGET:g} × beside a stall: met in {len(judged) - len(missed)}"
    names = ", ".join(f"{one.attack} ({one.kind})" for one in missed)
    return f"{said} of {len(judged)} cases" + (f"; missed: {names}." if missed else ".")


def markdown(run: Mapping[str, Any]) -> str:
    """The table for the document, and how the run was made.

    Args:
        run: the report that `make attack` wrote.

    Raises:
        ValueError: the run was in small size, or had no stall.
    """
    stalls = stalls_of(run["attacks"])
    if not stalls or not all(one.judged for one in stalls):
        raise ValueError("only a run in full size, with stalls, is published")
    rows = [
        f"`{run['command']}` on {run['date']}, {run['cores']} cores; {run['machine']}. "
        f"{_summary(stalls)}",
        "",
        "| stall | what others do | p50, ms | with it | p99, ms | with it | ratio of p99 | "
        "in the rounds | at most |",
        "| --- | --- |" + " ---: |" * 7,
    ]
    for one in stalls:
        ratio = f"{one.ratio} ×" if one.verdict == "met" else f"**{one.ratio} ×**"
        target = f"{TARGET:g} ×: " + ("met" if one.verdict == "met" else "**not met**")
        rows.append(
            f"| {one.attack} | {_WHAT[one.kind]} | {one.p50[0]} | {one.p50[1]} | {one.p99[0]} "
            f"| {one.p99[1]} | {ratio} | {one.spread[0]} to {one.spread[1]} | {target} |"
        )
    failed = [one["attack"] for one in run["attacks"] if not one["passed"]]
    if failed:
        rows += ["", f"The attacks {', '.join(failed)} failed in this run."]
    return "\n".join(rows) + "\n"


def main() -> int:
    """Put the last run's table into the document. Returns 1 if no run may be published."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack.report", description=__doc__)
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    try:
        table = markdown(json.loads(options.report.read_text()))
    except (OSError, ValueError) as error:
        print(f"{options.report}: {error}", file=sys.stderr)
        return 1
    options.document.write_text(put_between(options.document.read_text(), MARK, table))
    print(f"{options.document}: {MARK}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
