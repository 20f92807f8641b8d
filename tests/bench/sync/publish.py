"""Write the measured figures into `docs/performance.md`: `python -m tests.bench.sync.publish`.

The figures come from `build/bench-sync.json` and the file with its details, from
`build/bench-edits.json` and from `build/storm.json`, if they exist. No figure between the marks is
typed by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from client_sdk.contract.errors import YabamError
from tests.bench.edits.cases import EditsRun
from tests.bench.edits.report import page as edits_page
from tests.bench.sync import report
from tests.bench.sync.cases import Row, Run, details_of, row_of
from tests.bench.sync.storm import OUT, Storms, lines_of
from tests.bench.sync.wrk import BenchError

BEGIN: Final = "<!-- {part}: made by python -m tests.bench.sync.publish -->"
END: Final = "<!-- /{part} -->"


def tables(rows: list[Row], run: Run) -> Iterator[str]:
    """The benchmark's part of the page.

    Raises:
        BenchError: the rows and the details are from different runs.
    """
    if rows != [row_of(point, sample) for point, sample in run.results]:
        raise BenchError("bench-sync.json and its details are not of the same run: measure again")
    yield f"`{run.command}`: {run.machine}; medians of {run.rounds} rounds, {run.took_s:.0f} s."
    yield ""
    yield from report.markdown(dict(run.results))
    yield ""
    yield "Core beside the others (targets are for 64 clients), and a long log beside a short one:"
    yield ""
    yield from _items(report.ratios(dict(run.results)))
    if run.commands:
        yield ""
        yield "Orders through HTTP, one Core process, 64 clients, `POST /v1/orders` with two items:"
        yield ""
        yield from _items(report.commands(run.commands))


def replaced(page: str, part: str, lines: Iterable[str]) -> str:
    """The page with these lines between the marks of the part.

    Raises:
        BenchError: the page lacks the marks.
    """
    begin, end = BEGIN.format(part=part), END.format(part=part)
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise BenchError(f"the page has no marks for {part}")
    return "".join([before, begin, "\n\n", *(f"{line}\n" for line in lines), "\n", end, after])


def _items(lines: Iterable[str]) -> Iterator[str]:
    return (f"* {line}" for line in lines)


def main() -> int:
    """Write the figures. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync.publish", description=__doc__)
    parser.add_argument("--bench", type=Path, default=Path("build/bench-sync.json"))
    parser.add_argument("--edits", type=Path, default=Path("build/bench-edits.json"))
    parser.add_argument("--storm", type=Path, default=OUT)
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    page = options.page.read_text()
    try:
        if options.bench.exists():
            rows = msgspec.json.decode(options.bench.read_bytes(), type=list[Row])
            run = msgspec.json.decode(details_of(options.bench).read_bytes(), type=Run)
            page = replaced(page, "bench-sync", tables(rows, run))
        if options.edits.exists():
            edits = msgspec.json.decode(options.edits.read_bytes(), type=EditsRun)
            page = replaced(page, "bench-edits", edits_page(edits))
        if options.storm.exists():
            seen = msgspec.json.decode(options.storm.read_bytes(), type=Storms)
            page = replaced(page, "storm", _items(lines_of(seen)))
    except (OSError, msgspec.MsgspecError, YabamError) as error:
        print(error, file=sys.stderr)
        return 1
    options.page.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
