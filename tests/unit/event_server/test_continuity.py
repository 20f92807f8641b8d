"""Another log is told from the one that was read, whatever it was filled with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_server.errors import LogReplacedError
from event_server.kafka.continuity import MAX_RUNS, Continuity

Log = Sequence[str]


class Reader:
    """Reads a log as the source does: where it is told to look back, it reads again from there."""

    def __init__(self, end: int = 0) -> None:
        self.continuity = Continuity(end)
        self.position = 0
        self.taken: list[str] = []
        self.after_gaps: list[str] = []
        self.looks_back = 0

    def read(self, log: Log, upto: int | None = None) -> None:
        while self.position < (len(log) if upto is None else upto):
            offset, sent = self.position, log[self.position].encode()
            if sent == self.continuity.expected and sent:
                self.continuity.follow(offset, sent)
                verdict = "take"
            elif sent or self.continuity.expected is None:
                verdict = self.continuity.judge(offset, sent)
            else:
                verdict = "take"
            if verdict == "look_back":
                self.looks_back += 1
                self.position = self.continuity.look_back_to
                continue
            self.position += 1
            if verdict != "pass_over":
                self.taken.append(log[offset])
            if verdict == "take_after_gap":
                self.after_gaps.append(log[offset])


def run(session: str, first: int, last: int) -> list[str]:
    return [f"{session}.{n}" for n in range(first, last + 1)]


def test_one_run_is_read_without_looking_back() -> None:
    reader, log = Reader(), run("a", 7, 40)
    reader.read(log)
    assert reader.taken == log
    assert reader.looks_back == 0


def test_a_new_run_is_taken_once_the_last_record_is_still_there() -> None:
    reader, log = Reader(), [*run("a", 7, 9), *run("b", 0, 5)]
    reader.read(log)
    assert reader.taken == log
    assert reader.looks_back == 1
    assert reader.after_gaps == []


def test_the_log_made_anew_and_filled_by_the_run_that_goes_on_is_another_log() -> None:
    reader = Reader()
    reader.read(run("a", 0, 9))
    with pytest.raises(LogReplacedError):
        reader.read(run("a", 10, 40))


def test_the_log_made_anew_and_filled_by_another_relay_is_another_log() -> None:
    reader = Reader()
    reader.read(run("a", 0, 9))
    with pytest.raises(LogReplacedError):
        reader.read(run("b", 0, 40))


def test_a_relay_that_restarts_exactly_where_we_go_on_reading_hides_nothing() -> None:
    reader = Reader()
    reader.read(run("a", 0, 9))
    with pytest.raises(LogReplacedError):
        reader.read([*run("b", 0, 9), *run("c", 0, 9)])


def test_the_log_replaced_while_we_look_back_is_found_too() -> None:
    reader, log = Reader(), [*run("a", 0, 4), "b.0"]
    reader.read(log, 5)
    verdict = reader.continuity.judge(5, b"b.0")
    assert verdict == "look_back"
    assert reader.continuity.judge(4, b"a.4") == "pass_over"
    with pytest.raises(LogReplacedError):
        reader.continuity.judge(5, b"c.0")


def test_what_is_missing_in_the_log_itself_is_told_and_reading_goes_on() -> None:
    reader, log = Reader(), ["a.0", "a.1", "a.4", "a.5"]
    reader.read(log)
    assert reader.taken == log
    assert reader.after_gaps == ["a.4"]


def test_a_run_whose_beginning_should_have_been_read_is_told() -> None:
    reader = Reader(end=1)
    reader.read(["a.0", "a.1", "b.3", "b.4"])
    assert reader.after_gaps == ["b.3"]


def test_a_run_that_began_before_we_did_is_taken_in_its_middle() -> None:
    reader = Reader(end=4)
    reader.read(["a.6", "b.3", "a.7", "b.4", "b.5"])
    assert reader.after_gaps == []


def test_a_paused_relay_that_wakes_up_goes_on_with_its_own_numbers() -> None:
    reader = Reader()
    log = [*run("a", 0, 3), *run("b", 0, 3), *run("a", 4, 5), *run("b", 4, 6)]
    reader.read(log)
    assert reader.taken == log
    assert reader.after_gaps == []
    assert reader.looks_back == 1


def test_a_batch_that_a_broker_stored_twice_is_no_gap() -> None:
    reader, log = Reader(), [*run("a", 0, 3), *run("a", 2, 5)]
    reader.read(log)
    assert reader.taken == log
    assert reader.after_gaps == []


def test_records_of_a_relay_of_before_are_taken_and_prove_nothing() -> None:
    reader, log = Reader(), ["", "", "a.0", "", "a.1", "", "b.0", "", "b.1"]
    reader.read(log)
    assert reader.taken == log
    assert reader.after_gaps == []


def test_only_so_many_runs_are_remembered() -> None:
    reader = Reader()
    reader.read([f"s{n}.0" for n in range(3 * MAX_RUNS)])
    assert len(reader.continuity._others) == MAX_RUNS
    assert reader.after_gaps == []


@st.composite
def logs(draw: st.DrawFn) -> list[str]:
    """Some runs of two relays, one behind the other, some interleaved; marks are unique."""
    log: list[str] = []
    name = draw(st.sampled_from("xyz"))
    numbers: dict[str, int] = {}
    for n in draw(st.lists(st.integers(0, 3), min_size=1, max_size=30)):
        session = f"{name}{n}"
        log.append(f"{session}.{numbers.setdefault(session, 0)}")
        numbers[session] += 1
    return log


@given(logs(), st.data())
@settings(max_examples=300)
def test_any_other_log_is_found_before_a_record_of_a_run_that_was_missed_is_believed(
    log: list[str], data: st.DataObject
) -> None:
    """The log is replaced while we stand anywhere in it; the new one has no record of the old."""
    reader = Reader()
    at = data.draw(st.integers(1, len(log)))
    reader.read(log, at)
    other = [sent.replace(sent[0], "n", 1) for sent in data.draw(logs())]
    if len(other) <= at:
        return  # found by its length, which is the source's part
    with pytest.raises(LogReplacedError):
        reader.read(other)
    assert reader.taken == log[:at]


class TestWhatCannotBeRead:
    def read_around(self, left_out: int, then: bytes) -> str:
        """Read a.0, pass so many over, read on; the last verdict."""
        continuity = Continuity(0)
        assert continuity.judge(0, b"a.0") == "take"
        assert continuity.leave_out(left_out)
        offset = 1 + left_out
        verdict = "take"
        if then != continuity.expected and (verdict := continuity.judge(offset, then)) != "take":
            assert verdict == "look_back"
            assert continuity.judge(0, b"a.0") == "pass_over"
            assert not continuity.leave_out(left_out), "it comes for the second time"
            verdict = continuity.judge(offset, then)
        return verdict

    def test_it_is_no_gap_if_the_run_goes_on_behind_it(self) -> None:
        assert self.read_around(3, b"a.4") == "take"

    def test_it_is_no_gap_if_it_was_somebody_elses(self) -> None:
        assert self.read_around(3, b"a.1") == "take"

    def test_it_is_no_gap_if_a_run_begins_in_it(self) -> None:
        assert self.read_around(3, b"b.2") == "take"

    def test_more_than_it_is_a_gap(self) -> None:
        assert self.read_around(3, b"a.5") == "take_after_gap"
        assert self.read_around(3, b"b.4") == "take_after_gap"

    def test_it_hides_no_gap_further_on(self) -> None:
        continuity = Continuity(0)
        continuity.judge(0, b"a.0")
        continuity.leave_out(1)
        continuity.follow(2, b"a.1")
        assert continuity.judge(3, b"a.3") == "look_back"
        continuity.judge(2, b"a.1")
        assert continuity.judge(3, b"a.3") == "take_after_gap"
