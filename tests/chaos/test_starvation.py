"""A failed run says whether the machine had enough CPU time for it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.runner import Runner, Scenario
from tests.chaos.starvation import Scheduled, complaint, parse, scheduled


def test_what_linux_says_of_a_thread_is_read() -> None:
    assert parse("169000000000 971000000000 4711\n") == Scheduled(169.0, 971.0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (Scheduled(10, 10), Scheduled(25, 95), "15%"),
        (Scheduled(0, 0), Scheduled(169, 971), "15%"),
        (Scheduled(0, 90), Scheduled(10, 100), ""),
        (Scheduled(1, 1), Scheduled(1, 1), ""),
        (None, Scheduled(1, 9), ""),
        (Scheduled(1, 1), None, ""),
    ],
)
def test_it_is_said_where_a_process_got_less_than_half(
    before: Scheduled | None, after: Scheduled | None, said: str
) -> None:
    found = complaint(before, after)
    assert found.endswith(f"got {said}") if said else found == ""


def test_a_thread_that_computes_runs() -> None:
    before = scheduled()
    if before is None:
        return  # this system does not say
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    after = scheduled()
    assert after is not None
    assert after.since(before).ran_s >= 0.04


async def test_a_scenario_that_failed_says_that_the_machine_was_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([Scheduled(10, 10), Scheduled(25, 95)])
    monkeypatch.setattr("tests.chaos.runner.scheduled", lambda: next(times))

    async def inject(_field: object) -> str:
        return ""

    nothing: Any = SimpleNamespace()
    outcome = await Runner(nothing, 1, lambda *_: None).run(Scenario("x", "nothing", inject))
    assert not outcome.passed
    assert outcome.trouble.endswith("this process got 15%")
