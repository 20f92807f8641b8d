"""The load test's charts and figures."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.load.measured.timeline import Tally, Timeline, percentiles
from deploy.load.measured.way import Part
from deploy.load.plan import read_plan
from deploy.load.report.chart import Chart, ChartSeries, draw, legend
from deploy.load.report.page import page
from deploy.load.report.text import tables, text
from deploy.load.run import Fault, LoadResult

VALUES = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=30)


@given(VALUES, st.booleans(), st.sampled_from(["linear", "log"]))
def test_whatever_the_values_the_chart_is_sound_xml_without_a_nonsense_number(
    values: list[float | None], stacked: bool, scale: str
) -> None:
    times = [float(n) for n in range(len(values))]
    series = [ChartSeries("<a & b>", values), ChartSeries("b", values)]
    marks = [(times[-1], "kill <all>")]
    chart = Chart("T", "ms", times, series, marks, scale, stacked)  # type: ignore[arg-type]
    for drawn in (draw(chart), f"<p>{legend(chart)}</p>"):
        ET.fromstring(drawn)
        assert "nan" not in drawn
        assert "inf" not in drawn


def test_higher_values_are_drawn_higher() -> None:
    chart = Chart("T", "ms", [0.0, 1.0], [ChartSeries("a", [1.0, 9.0])])
    root = ET.fromstring(draw(chart))
    (path,) = (e.get("d", "") for e in root.iter() if e.get("class") == "line0")
    first, last = (float(point.split()[1]) for point in path[1:].split("L"))
    assert last < first


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles(array("d", [float(n) for n in range(101)])) == (50.0, 95.0, 99.0)
    assert percentiles(array("d", [7.0])) == (7.0, 7.0, 7.0)
    assert percentiles(array("d")) == ()


def test_each_second_counts_its_own_and_the_tally_keeps_all() -> None:
    tally = Tally()
    tally.took("delivery", 0.002)
    tally.count("opened")
    first = tally.take(1.0, {"live": 1}, {}, {})
    tally.took("delivery", 0.004)
    second = tally.take(2.0, {"live": 1}, {}, {})
    assert (first.delivery_ms[2], first.counts) == (2.0, {"opened": 1})
    assert (second.delivery_ms[2], second.counts) == (4.0, {})
    assert tally.size("delivery") == 2
    timeline = Timeline()
    timeline.seconds += [first, second]
    assert timeline.worst("delivery_ms", 0, 1.5) == pytest.approx(2.0)
    assert timeline.worst("command_ms", 0, 9) is None


@pytest.fixture
def outcome() -> LoadResult:
    tally, timeline = Tally(), Timeline()
    for milliseconds in range(101):
        tally.took("delivery", milliseconds / 1000)
    timeline.seconds.append(tally.take(1.0, {"live": 3}, {"core": 3.0}, {"core": 312.0}))
    return LoadResult(
        read_plan([]),
        timeline,
        tally,
        faults=[Fault("kill-core", 0.0, 3.2, None, 7)],
        cpu_s={"core": 4.5},
        way=[Part("due, until it is sent", 1.5, 2.5)],
    )


def test_the_report_has_a_table_of_latencies_of_the_way_of_processes_and_of_faults(
    outcome: LoadResult,
) -> None:
    rows = {row[0]: list(row[1:]) for table in tables(outcome) for row in table.rows}
    assert rows["order sent to order seen"] == ["101", "50.0", "95.0", "99.0"]
    assert rows["health of Core and event server"] == ["0", "–", "–", "–"]
    assert rows["due, until it is sent"] == ["1.5", "2.5"]
    assert rows["core"] == ["4.5", "312"]
    assert rows["kill-core"] == ["0", "3.2", "7", "not", "–", "–", "–", "99"]
    assert all(len(row) == len(table.head) for table in tables(outcome) for row in table.rows)


def test_a_terminal_and_the_page_are_told_every_figure_of_the_tables(outcome: LoadResult) -> None:
    told, shown = text(outcome), page(outcome)
    for table in tables(outcome):
        for row in (table.head, *table.rows):
            assert all(cell in told for cell in row)
            assert all(f">{cell}</t" in shown for cell in row)
