"""What a round of the push benchmark does where a system does not deliver all."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.bench.fanout import __main__ as fanout
from tests.bench.fanout.measurements import Cost
from tests.bench.fanout.results import Results
from tests.bench.fanout.system import System

LOST = "7 of 8 events came within 60 s"


def bench(monkeypatch: pytest.MonkeyPatch, results: Results, loses: str) -> fanout.Bench:
    """A bench whose systems all cost the same, but for the one that loses an event."""

    async def cost(system: System, program: Path, folder: Path, n: int, deliveries: int) -> Cost:
        if system.name == loses:
            raise RuntimeError(LOST)
        return Cost(1.0, 2.0, 3.0)

    monkeypatch.setattr(fanout, "cost", cost)
    monkeypatch.setattr(fanout, "compiled", lambda name, folder: folder / name)
    options = argparse.Namespace(deliveries=8, systems=[loses, "bare"])
    return fanout.Bench(options, "broker:9092", Path(), results)


async def test_another_system_that_loses_events_is_left_out_and_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = Results({}, "make bench", [8])
    await bench(monkeypatch, results, "c-send").compare(8, 1)
    assert [sample.system for sample in results.samples] == ["bare"]
    assert results.failures == [f"c-send, 8 connections, round 1: {LOST}"]


async def test_an_event_that_this_server_loses_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RuntimeError, match=LOST):
        await bench(monkeypatch, Results({}, "make bench", [8]), "yabam").compare(8, 1)
