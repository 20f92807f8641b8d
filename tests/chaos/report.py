"""The table on the terminal, the report, and `chaos.json`.

`python -m tests.chaos.report` writes the report of the last run of all scenarios into
`docs/reliability.md`, with the scenarios that were run again afterwards (`reruns.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.chaos import reruns
from tests.chaos.runner import Field, Outcome

REPORTS: Final = ("chaos", "unprotected")
"""The names of the reports in `build`, and of the markers in the document."""
_MAX_NOTES: Final = 6
_HEAD: Final = (
    f"{'scenario':<22}{'result':<9}{'recovery':>9}{'slowest':>9}{'written':>9}{'edits':>7}{'lost':>6}"
    f"{'doubled':>9}{'disorder':>9}{'live':>9}{'polling':>9}{'other':>7}"
)


class Table:
    """The table on the terminal: a line for each scenario; the running one is updated."""

    def __init__(self) -> None:
        self._alive = sys.stdout.isatty()

    def begin(self, text: str) -> None:
        """Print a text and the head of the table."""
        print(f"{text}\n\n{_HEAD}\n{'─' * len(_HEAD)}", flush=True)

    def show(self, name: str, phase: str, elapsed_s: float, ground: Field) -> None:
        """Show the running scenario; only on a terminal."""
        if not self._alive:
            return
        modes = ground.crowd.modes()
        line = f"{name:<22}{phase:<9}{elapsed_s:>7.0f} s  " + "  ".join(
            f"{mode} {count}" for mode, count in sorted(modes.items())
        )
        print(f"\r\033[K{line}", end="", flush=True)

    def add(self, outcome: Outcome) -> None:
        """Print the line of a scenario that has ended."""
        start = "\r\033[K" if self._alive else ""
        print(f"{start}{_line(outcome)}", flush=True)
        for note in (outcome.trouble, *outcome.verdict.notes[:5]):
            if note:
                print(f"    {note}", flush=True)


def _line(outcome: Outcome) -> str:
    verdict = outcome.verdict
    result = "passed" if outcome.passed else "not run" if outcome.skipped else "FAILED"
    return (
        f"{outcome.scenario.name:<22}{result:<9}{_seconds(outcome.recovery_s):>9}"
        f"{_seconds(outcome.slowest_s):>9}{outcome.written:>9}{outcome.edits:>7}{verdict.lost:>6}"
        f"{verdict.doubled:>9}{verdict.out_of_order:>9}{outcome.live_s:>9.0f}"
        f"{outcome.polling_s:>9.0f}{outcome.offline_s:>7.0f}"
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the results as JSON: one entry for each scenario that was run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {
            "scenario": o.scenario.name,
            "seed": o.seed,
            "written": o.written,
            "edits": o.edits,
            "lost": o.verdict.lost,
            "doubled": o.verdict.doubled,
            "out_of_order": o.verdict.out_of_order,
            "late": o.verdict.late,
            "recovery_s": None if o.recovery_s is None else round(o.recovery_s, 1),
            "live_s": round(o.live_s),
            "polling_s": round(o.polling_s),
        }
        for o in outcomes
        if not o.skipped
    ]
    path.write_text(json.dumps(entries, indent=1) + "\n")


def write_notes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write what was wrong in each scenario as JSON; empty if nothing was."""
    wrong = {
        o.scenario.name: {"trouble": o.trouble, "notes": o.verdict.notes[:_MAX_NOTES]}
        for o in outcomes
        if not o.passed
    }
    path.write_text(json.dumps(wrong, indent=1, ensure_ascii=False) + "\n")


def summary(outcomes: Sequence[Outcome], seed: int, clients: int, rate: float, scale: float) -> str:
    """The first paragraph of the report: what was run, and with which results."""
    run = [o for o in outcomes if not o.skipped]
    failed = [o.scenario.name for o in run if not o.passed]
    skipped = [f"{o.scenario.name} ({o.trouble})" for o in outcomes if o.skipped]
    lost, doubled, disorder, late = (
        sum(getattr(o.verdict, name) for o in run)
        for name in ("lost", "doubled", "out_of_order", "late")
    )
    live, polling = sum(o.live_s for o in run), sum(o.polling_s for o in run)
    return " ".join(
        [
            f"Seed {seed}, {clients} clients, {rate:g} writes a second over HTTP,",
            f"faults at {scale:g} of their length: {len(run)} scenarios,",
            f"{sum(o.written for o in run):,} events written,",
            f"{sum(o.edits for o in run):,} edits and commands acknowledged,",
            f"{lost} lost, {doubled} doubled,",
            f"{disorder} out of order{f', {late} late' if late else ''};",
            f"{live:,.0f} client-seconds live, {polling:,.0f} polling.",
            f"Failed: {', '.join(failed)}." if failed else "All passed.",
            *([f"Not run: {', '.join(skipped)}."] if skipped else []),
            "All took",
        ]
    )


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table of the report, in Markdown."""
    head = (
        "| scenario | result | injected | seen | recovery | slowest event | written | edits | lost "
        "| doubled | out of order | live | polling | other |"
    )
    rows = [head, "| --- | --- | --- | --- |" + " ---: |" * 10]
    rows += [f"| {' | '.join(cells(outcome))} |" for outcome in outcomes]
    return "\n".join(rows) + "\n"


def cells(outcome: Outcome) -> list[str]:
    """The cells of a scenario's row; the first one is its name."""
    verdict = outcome.verdict
    seen = outcome.trouble or outcome.seen
    if verdict.late:
        seen = "; ".join(filter(None, [seen, f"{verdict.late} late, not counted as lost"]))
    return [
        outcome.scenario.name,
        "passed" if outcome.passed else "not run" if outcome.skipped else "**failed**",
        outcome.scenario.injected,
        seen.replace("|", "\\|"),
        _seconds(outcome.recovery_s),
        _seconds(outcome.slowest_s),
        *map(str, (outcome.written, outcome.edits)),
        *map(str, (verdict.lost, verdict.doubled, verdict.out_of_order)),
        *(f"{s:.0f} s" for s in (outcome.live_s, outcome.polling_s, outcome.offline_s)),
    ]


def put_between(text: str, name: str, content: str) -> str:
    """The text, with what stands between the markers of this name replaced by `content`.

    Raises:
        ValueError: the text does not have exactly one such pair of markers.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"exactly one pair of marks is needed: {begin} … {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{content.strip()}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Write the reports in `build` into the document. Returns 0, or 1 if there is no report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.report", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--document", type=Path, default=Path("docs/reliability.md"))
    options = parser.parse_args()
    found = [name for name in REPORTS if (options.build / f"{name}.md").exists()]
    for name in found:
        content = (options.build / f"{name}.md").read_text()
        again = reruns.read(options.build) if name == "chaos" else None
        if again is not None:
            content = reruns.with_reruns(content, again)
        options.document.write_text(put_between(options.document.read_text(), name, content))
        print(f"{options.document}: {name}")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
