"""What is sent of a store's log, in which order, and what stands in for what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core_api.webhooks.messages import GAP, LaneStep, LogPage, LogRow, steps_of

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STORE = "store:12.a"


def row(seq: int, *, wanted: bool = True) -> LogRow:
    body = f'"type":"order.placed","data":{{"n":{seq}}}}}'
    return LogRow(seq, "order.placed", AT, body if wanted else None)


def page(*rows: LogRow, epoch: str = "E1", head: int = 1000, is_damaged: bool = False) -> LogPage:
    return LogPage(epoch, head, AT, rows, is_damaged)


def steps(seq: int, found: LogPage, epoch: str = "E1") -> list[LaneStep]:
    return steps_of(STORE, epoch, seq, found)


def body_of(step: LaneStep) -> dict[str, Any]:
    assert step.message is not None
    found: dict[str, Any] = json.loads(step.message.body)
    return found


def test_a_message_has_type_time_epoch_and_the_event_as_every_client_gets_it() -> None:
    (step,) = steps(4, page(row(5)))
    assert body_of(step) == {
        "type": "order.placed",
        "timestamp": "2026-11-22T12:00:00Z",
        "epoch": "E1",
        "data": {"id": "store:12.a@5", "seq": 5, "type": "order.placed", "data": {"n": 5}},
    }


def test_an_id_is_the_same_in_each_attempt_and_holds_no_full_stop() -> None:
    first, again = steps(4, page(row(5)))[0], steps(3, page(row(4), row(5)))[1]
    assert first.message is not None
    assert first.message == again.message
    assert first.message.id == "E1/store:12~a@5/1795348800000000"


def test_an_id_differs_between_epochs() -> None:
    (step,) = steps(4, page(row(5), epoch="E2"), "E2")
    assert step.message is not None
    assert step.message.id.startswith("E2/")


def test_an_id_differs_between_events_that_were_given_the_same_seq_one_after_the_other() -> None:
    (step,) = steps(4, page(row(5)))
    later = row(5)._replace(occurred_at=AT + timedelta(microseconds=1))
    (other,) = steps(4, page(later))
    assert step.message is not None
    assert other.message is not None
    assert step.message.id != other.message.id


def test_what_is_not_wanted_is_passed_over() -> None:
    found = steps(4, page(row(5, wanted=False), row(6)))
    assert [(step.seq, step.message is None) for step in found] == [(5, True), (6, False)]


def test_what_the_log_no_longer_has_is_told() -> None:
    gap, event = steps(4, page(row(10)))
    assert body_of(gap)["type"] == GAP
    assert body_of(gap)["data"] == {
        "channel": STORE, "after": 4, "until": 9, "reason": "retention",
    }  # fmt: skip
    assert (gap.seq, event.seq) == (9, 10)


def test_an_event_that_is_no_json_is_told_of_and_the_next_one_comes() -> None:
    gap, event = steps(4, page(LogRow(5, "order.placed", AT, '"data":'), row(6)))
    assert body_of(gap)["data"]["reason"] == "unreadable"
    assert (gap.seq, event.seq) == (5, 6)


def test_an_event_that_the_database_cannot_give_is_told_of() -> None:
    (gap,) = steps(4, page(is_damaged=True))
    assert body_of(gap)["data"] == {
        "channel": STORE, "after": 4, "until": 5, "reason": "unreadable",
    }  # fmt: skip
    assert gap.seq == 5


def test_a_new_log_is_told_of_before_its_events() -> None:
    gap, event = steps(4, page(row(5), epoch="E2"))
    assert body_of(gap)["data"]["reason"] == "epoch"
    assert (gap.seq, event.seq) == (4, 5)


def test_a_log_that_is_shorter_than_the_place_is_followed_from_its_end() -> None:
    (gap,) = steps(9, page(epoch="E2", head=3))
    assert body_of(gap)["data"] == {"channel": STORE, "after": 3, "until": 3, "reason": "epoch"}
    assert gap.seq == 3


def test_where_nothing_is_new_there_is_no_step() -> None:
    assert steps(1000, page()) == []


def test_a_log_that_has_nothing_behind_the_place_any_more_is_told_of_up_to_its_head() -> None:
    (gap,) = steps(4, page(head=9))
    assert body_of(gap)["data"] == {
        "channel": STORE, "after": 4, "until": 9, "reason": "retention",
    }  # fmt: skip
    assert gap.seq == 9


def test_what_cannot_be_read_behind_the_head_is_no_event() -> None:
    assert steps(5, page(head=5, is_damaged=True)) == []


@given(st.integers(0, 50), st.sets(st.integers(1, 60)), st.data())
def test_every_seq_is_covered_once_and_in_order(
    seq: int, present: set[int], data: st.DataObject
) -> None:
    rows = [row(n, wanted=data.draw(st.booleans())) for n in sorted(present) if n > seq]
    covered: list[int] = []
    place = seq
    for step in steps(seq, page(*rows, head=rows[-1].seq if rows else seq)):
        assert step.seq > place
        if step.message is not None and body_of(step)["type"] == GAP:
            told = body_of(step)["data"]
            assert (told["after"], told["until"]) == (place, step.seq)
        else:
            assert step.seq == place + 1
        covered += range(place + 1, step.seq + 1)
        place = step.seq
    assert covered == list(range(seq + 1, (rows[-1].seq if rows else seq) + 1))
