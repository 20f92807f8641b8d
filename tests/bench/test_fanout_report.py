"""What a run of the push benchmark writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.fanout.machine import Quiet, allow_files
from tests.bench.fanout.report import BEGIN, END, markdown, written_into
from tests.bench.fanout.results import Results, Sample

QUIET = Quiet(0.5, 1.25, 0.4, 0.01, 0.05)


def results() -> Results:
    """Three rounds at two numbers of connections, one of them of the scale only."""
    found = Results(
        {"date": "2026-11-21", "cores": 2, "machine": "any", "kernel": "6"}, "make", [8]
    )
    found.quiet = QUIET
    for number, (ours, limit) in enumerate(((2.0, 1.0), (3.0, 3.0), (9.0, 6.0)), 1):
        found.samples += [
            Sample("yabam", 8, number, ours, 40.0, 2.0),
            Sample("yabam", 8, number, p50_ms=1.0, p99_ms=ours),
            Sample("c-send", 8, number, limit),
            Sample("aiokafka", 8, number, p50_ms=0.5, p99_ms=1.0),
            Sample("bare", 8, number, ours, 10.0, 1.0),
        ]
    found.samples += [Sample("yabam", 16, 1, 5.0), Sample("c-send", 16, 1, 4.0)]
    found.failures = ["mercure, 8 connections, round 1: 7 of 8 events came within 60 s"]
    return found


def test_the_medians_are_written_in_the_agreed_shape(tmp_path: Path) -> None:
    results().write(tmp_path / "bench.json", tmp_path / "samples.json")
    head, ours, limit = json.loads((tmp_path / "bench.json").read_text())
    assert head["cores"] == 2
    assert ours == {
        "system": "yabam",
        "connections": 8,
        "cpu_us_per_delivery": 3.0,
        "cpu_us_per_connect": 40.0,
        "kib_per_connection": 2.0,
        "p50_ms": 1.0,
        "p99_ms": 3.0,
    }
    assert limit["system"] == "c-send"
    assert limit["cpu_us_per_connect"] is limit["p99_ms"] is None


def test_the_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    results().write(tmp_path / "bench.json", tmp_path / "samples.json")
    assert Results.read(tmp_path / "samples.json") == results()


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    spread = results().ratio("yabam", "c-send", 8, "cpu_us_per_delivery")
    assert spread is not None
    assert (spread.median, spread.least, spread.greatest) == (1.5, 1.0, 2.0)
    assert results().ratio("yabam", "nchan", 8, "cpu_us_per_delivery") is None


def test_the_report_says_what_was_missed_and_how_quiet_it_was() -> None:
    said = markdown(results())
    assert "1.50 × (1.00 to 2.00): **not met**" in said
    assert "3.00 × (2.00 to 9.00): met" in said
    assert "5% used by other processes" in said
    assert "| 16 | 5.00 | 4.00 | 1.25 |" in said


def test_the_firehose_is_told_with_its_target() -> None:
    row = {"through": "Kafka to ring", "stores": 100, "records_per_s": 90_000.0, "target": 100_000}
    assert "90,000 (at least 100,000: **not met**)" in markdown(results(), {"rows": [row]})


def test_workers_are_told_with_how_the_streams_were_spread() -> None:
    row = {
        "workers": 2, "deliveries_per_s": 61_026.4, "cpu_us_per_delivery": 4.36,
        "streams": [984, 1016],
    }  # fmt: skip
    said = {"connections": 2000, "rounds": 3, "quiet": QUIET.write(), "rows": [row]}
    assert "| 2 | 61,026 | 4.36 | 984, 1,016 |" in markdown(results(), None, said)


def test_nodes_and_many_followers_are_told() -> None:
    row = {
        "case": "3 nodes", "followers": 6000, "deliveries_per_s": 61_026.4,
        "cpu_us_per_delivery": 4.36, "cpu_us_per_connect": 40.0, "kib_per_connection": 2.5,
    }  # fmt: skip
    said = {"workers": 4, "rounds": 1, "quiet": QUIET.write(), "rows": [row]}
    told = markdown(results(), many=said)
    assert "| 3 nodes | 6,000 | 61,026 | 4.36 | 40.00 | 2.50 |" in told
    assert "by 4 workers" in told


def test_slow_clients_are_told_beside_a_run_without_them() -> None:
    calm = {
        "slow_every": 0, "p50_ms": 30.0, "p99_ms": 60.25, "cpu_us_per_delivery": 5.0,
        "mib_more": 0.5, "hung_up": 0,
    }  # fmt: skip
    rows = [calm, calm | {"slow_every": 10, "p99_ms": 61.0, "hung_up": 800}]
    said = {"connections": 8000, "rounds": 3, "quiet": QUIET.write(), "rows": rows}
    told = markdown(results(), slow=said)
    assert "| none | 30.00 | 60.25 | 5.00 | 0.5 | 0 |" in told
    assert "| each 10th | 30.00 | 61.00 | 5.00 | 0.5 | 800 |" in told


def test_a_connect_is_held_against_both_peers() -> None:
    found = results()
    for number, (nchan, durable) in enumerate(((20.0, 50.0), (16.0, 30.0), (25.0, 40.0)), 1):
        found.samples += [
            Sample("nchan", 8, number, cpu_us_per_connect=nchan),
            Sample("durable-streams", 8, number, cpu_us_per_connect=durable),
        ]
    told = markdown(found)
    assert "(ours checks a ticket): at most 2 × | 2.00 × (1.60 to 2.50): met |" in told
    assert "beside durable-streams': at most 1 × | 1.00 × (0.80 to 1.33): met |" in told


def test_the_report_replaces_what_stands_between_the_marks_only() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = written_into(document, "new\n")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert written_into(once, "new\n") == once
    with pytest.raises(ValueError, match="substring"):
        written_into("no marks", "new\n")


def test_too_low_a_limit_of_files_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    with pytest.raises(SystemExit, match=r"at most 4,096 are allowed here.*ulimit -n 16200"):
        allow_files(16_000)


def test_what_another_system_did_not_deliver_is_told() -> None:
    line = "* Left out: mercure, 8 connections, round 1: 7 of 8 events came within 60 s."
    assert line in markdown(results()).splitlines()
