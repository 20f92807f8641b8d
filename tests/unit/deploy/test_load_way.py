"""How the time of a step is divided among the parts of its way."""

from __future__ import annotations

import pytest

from deploy.load.measured.way import Part, StoredTimes, Times, parts

UNIX = 1_800_000_000.0


def one_step(due: float) -> tuple[Times, dict[tuple[str, int], StoredTimes]]:
    step = ("a", 1)
    times = Times({step: due}, {step: due + 0.001}, {step: due + 0.007})
    times.seen += [(step, due + 0.010), (step, due + 0.014)]
    return times, {step: StoredTimes(UNIX + due + 0.003, UNIX + due + 0.008)}


def test_each_part_is_from_one_known_moment_to_the_next() -> None:
    times, stored = one_step(100.0)
    found = parts(times, stored, UNIX, [])
    assert [part.name for part in found] == [
        "due, until it is sent",
        "sent, until Postgres begins to write it",
        "begun, until Core has answered",
        "begun, until the relay has read it",
        "read, until a client has it",
    ]
    assert [part.p50 for part in found] == pytest.approx([1.0, 2.0, 4.0, 5.0, 2.0], abs=0.01)
    assert [part.p99 for part in found] == pytest.approx([1.0, 2.0, 4.0, 5.0, 6.0], abs=0.01)


@pytest.mark.parametrize(("due", "counts"), [(49.0, True), (50.0, False), (61.0, True)])
def test_what_was_due_while_something_was_broken_is_left_out(due: float, counts: bool) -> None:
    times, stored = one_step(due)
    assert (parts(times, stored, UNIX, [(50.0, 60.0)])[0].p50 > 0) is counts


def test_what_the_load_test_did_not_send_is_left_out() -> None:
    _, stored = one_step(1.0)
    assert parts(Times(), stored, UNIX, []) == [
        Part(part.name, 0.0, 0.0) for part in parts(Times(), {}, UNIX, [])
    ]
