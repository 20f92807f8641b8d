"""The results of a benchmark of edits: the report, and how it gets into the document."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.bench.edits.cases import EditsRun, Fanout, Point
from tests.bench.edits.report import page, ratios, syncs
from tests.bench.sync.cases import Load, Sample
from tests.bench.sync.publish import main, replaced

PAGE = Path(__file__).parents[2] / "docs/performance.md"


def sample(rate: float, cpu: float = 0.5) -> Sample:
    return Sample(Load(rate, 1.5, 9.25, 0), cpu, 0.25, 0.1)


CORE = Point("yabam", "ring", 1000)
RIVAL = Point("sqlalchemy", "ring", 1000)
FANOUT = Fanout(400.0, 50, 4, 800, 3200, {"Core": 250.0, "relay": 50.0})
RUN = EditsRun(
    "python -m tests.bench.edits",
    "2 cores",
    3,
    150.0,
    [(CORE, sample(4000)), (RIVAL, sample(500))],
    {"no document": sample(10_000)},
    FANOUT,
)


def test_the_page_has_a_line_for_each_point_with_its_cpu_per_edit() -> None:
    assert "| yabam | call ring on bell | 1,000 | 4,000 | 1.5 | 9.2 | 125 | 62 | 25 |" in page(RUN)


def test_core_is_held_to_its_target_and_compared_with_its_rival() -> None:
    (line,) = ratios(dict(RUN.results))
    assert "4,000/s (target 3,000: met); 8.00 × sqlalchemy, 8.00 × per CPU" in line


def test_a_rate_below_the_target_is_called_missed() -> None:
    (line,) = ratios({Point("yabam", "line", 1): sample(999)})
    assert "one document: 999/s (target 1,000: MISSED)" in line


@pytest.mark.parametrize(("cpu", "verdict"), [(0.55, "met"), (0.65, "MISSED")])
def test_a_sync_with_documents_is_held_to_one_without(cpu: float, verdict: str) -> None:
    found = {"no document": sample(10_000), "8 documents": sample(10_000, cpu)}
    assert list(syncs(found))[-1].endswith(f"(target within 10%: {verdict})")  # type: ignore[arg-type]


def test_the_cost_of_an_edit_to_four_phones_is_that_of_all_processes() -> None:
    assert "Core 250 µs, relay 50 µs, together 300 µs of CPU" in "\n".join(page(RUN))


def test_the_file_of_a_run_is_published_between_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, target, nothing = tmp_path / "edits.json", tmp_path / "page.md", str(tmp_path / "nothing")
    run.write_bytes(msgspec.json.encode(RUN))
    target.write_text(PAGE.read_text())
    arguments = ["--edits", str(run), "--bench", nothing, "--storm", nothing, "--page", str(target)]
    monkeypatch.setattr("sys.argv", ["publish", *arguments])
    assert main() == 0
    assert target.read_text() == replaced(PAGE.read_text(), "bench-edits", page(RUN))
