"""The proof of the kitchen: which tickets count as lost, doubled or out of order."""

from __future__ import annotations

from tests.chaos.kitchen.proof import count_repeats, judge_commands, judge_events, judge_papers
from tests.chaos.proof import Verdict


def paper(reference: str, *, repeat: bool = False) -> str:
    mark = "** REPEAT **\n" if repeat else ""
    return f"{mark}Table 1\n#{reference}          12:00\n2   Tea\n"


def counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.doubled, verdict.out_of_order


def test_each_ticket_once_and_in_order_is_clean() -> None:
    assert judge_papers(["A", "B"], [paper("A"), paper("B"), paper("other")]).clean


def test_a_ticket_that_comes_again_with_its_mark_is_clean() -> None:
    papers = [paper("A"), paper("A", repeat=True), paper("B", repeat=True)]
    assert judge_papers(["A", "B"], papers).clean
    assert count_repeats(papers) == 2


def test_a_ticket_that_never_comes_out_is_lost() -> None:
    assert counts(judge_papers(["A", "B"], [paper("A")])) == (1, 0, 0)


def test_a_ticket_that_comes_twice_without_a_mark_is_doubled() -> None:
    assert counts(judge_papers(["A"], [paper("A"), paper("A")])) == (0, 1, 0)


def test_a_ticket_before_an_earlier_one_is_out_of_order() -> None:
    assert counts(judge_papers(["A", "B"], [paper("B"), paper("A")])) == (0, 0, 1)


def test_events_are_applied_once_each_and_in_order() -> None:
    assert judge_events("bell", 3, [1, 2, 3]).clean
    assert counts(judge_events("bell", 3, [1, 3])) == (1, 0, 0)
    assert counts(judge_events("bell", 2, [1, 2, 2])) == (0, 1, 0)
    assert counts(judge_events("bell", 3, [1, 3, 2])) == (0, 0, 1)


def test_events_of_an_earlier_page_are_not_judged_again() -> None:
    assert judge_events("bell", 3, [1, 3], after=2).clean


def test_a_command_that_is_not_done_in_the_end_is_lost() -> None:
    assert judge_commands({"a": "done"}).clean
    verdict = judge_commands({"a": "done", "b": "sent", "c": None, "d": "expired"})
    assert counts(verdict) == (2, 0, 0)
    assert (verdict.late, verdict.clean) == (1, False)


def test_a_ticket_that_still_waits_is_late_and_not_lost() -> None:
    verdict = judge_papers(["A", "B", "C"], [paper("A")], {"A", "C"})
    assert counts(verdict) == (1, 0, 0)
    assert (verdict.late, verdict.clean) == (1, False)
    assert not judge_papers(["A"], [], {"A"}).clean


def test_a_press_that_its_device_keeps_is_late_and_not_lost() -> None:
    verdict = judge_events("bell", 4, [1, 2], to_come={4})
    assert counts(verdict) == (1, 0, 0)
    assert (verdict.late, verdict.clean) == (1, False)
