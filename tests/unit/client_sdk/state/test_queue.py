"""The queue: numbers, what is sent, and what an answer does (promise 10)."""

from __future__ import annotations

import pytest

from client_sdk.contract.limits import MAX_EDITS, MAX_EDITS_BODY_BYTES
from client_sdk.contract.problem import Problem
from client_sdk.contract.state.edit import EditOutcome, OwnEdit, decode_edits
from client_sdk.contract.state.operations import Add, Set
from client_sdk.state.entries import Wish
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.rig import CHANNEL, Rig

INVALID = EditOutcome(0, "refused", problem=Problem("urn:yabam:problem:invalid", "invalid", 422))


@pytest.fixture
def core() -> CoreModel:
    return CoreModel()


@pytest.fixture
def rig(core: CoreModel) -> Rig:
    rig = Rig(core)
    rig.sync()
    return rig


def numbers(rig: Rig) -> list[tuple[str, int]]:
    return [(entry.client, entry.n) for entry in rig.replica.queue.entries]


def test_edits_are_counted_over_all_documents(rig: Rig) -> None:
    rig.set("cart", {})
    rig.set("bell", {})
    assert numbers(rig) == [("a1", 1), ("a1", 2)]


def test_an_edit_is_made_on_the_own_one_below_it(rig: Rig) -> None:
    rig.set("cart", {})
    rig.set("bell", {})
    rig.merge("cart", {"a": 1})
    assert rig.replica.queue.entries[2].edit.base == OwnEdit(1)


def test_an_edit_is_made_on_the_version_that_is_shown(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {})
    rig.sync()
    rig.merge("cart", {"a": 1})
    assert rig.replica.queue.entries[0].edit.base == 1


def test_one_request_is_under_way_at_most(rig: Rig) -> None:
    rig.set("cart", {})
    assert rig.replica.queue.request() is not None
    rig.set("bell", {})
    assert rig.replica.queue.request() is None


def test_a_repeat_is_sent_in_the_same_bytes(rig: Rig) -> None:
    rig.set("cart", {"a": 1})
    first = rig.replica.queue.request()
    assert first is not None
    rig.replica.queue.failed(first)
    again = rig.replica.queue.request()
    assert again is not None
    assert again.body == first.body


def test_a_repeat_after_a_crash_is_sent_in_the_same_bytes(rig: Rig) -> None:
    rig.set("cart", {"a": 1})
    first = rig.replica.queue.request()
    rig.crash()
    again = rig.replica.queue.request()
    assert first is not None
    assert again is not None
    assert again.body == first.body


def test_an_edit_is_settled_once_though_its_answer_was_lost(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    assert answer is not None
    rig.replica.queue.failed(answer[0])
    rig.send()
    assert core.value(CHANNEL, "cart") == {"count": 1}


def test_an_answer_that_comes_twice_says_nothing_the_second_time(rig: Rig) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    assert answer is not None
    rig.hear(answer)
    rig.add("cart", count=1)
    rig.hear(answer)
    assert len(rig.replica.queue.unanswered) == 1


def test_a_refused_edit_holds_up_none_behind_it(rig: Rig, core: CoreModel) -> None:
    rig.set("first", {"own": 1})
    rig.set("cart", {"own": 1})
    core.write(CHANNEL, "first", {"theirs": 1})
    rig.send()
    assert core.value(CHANNEL, "cart") == {"own": 1}


def test_a_request_has_no_more_edits_than_core_takes(rig: Rig, core: CoreModel) -> None:
    for _ in range(MAX_EDITS + 1):
        rig.add("cart", count=1)
    rig.send()
    assert [len(batch.edits) for batch in core.requests] == [MAX_EDITS, 1]


def test_a_request_is_no_longer_than_core_takes(rig: Rig) -> None:
    for index in range(30):
        rig.set(f"menu{index}", {"text": "x" * 60_000})
    request = rig.replica.queue.request()
    assert request is not None
    assert len(request.body) <= MAX_EDITS_BODY_BYTES
    assert len(request.ids) > 10


def test_what_holds_together_is_sent_alone_and_as_such(rig: Rig, core: CoreModel) -> None:
    rig.set("cart", {})
    rig.edit(Wish(CHANNEL, "bell", Set({})), Wish(CHANNEL, "cart", Add({"/a": 1})), atomic=True)
    rig.set("shift", {})
    rig.send()
    assert [(len(batch.edits), batch.atomic) for batch in core.requests] == [
        (1, False),
        (2, True),
        (1, False),
    ]


# ── what Core may forget ─────────────────────────────────────────────────────


def test_core_is_told_that_answers_are_here_when_nothing_needs_them(rig: Rig) -> None:
    rig.set("cart", {})
    rig.send()
    rig.sync()
    rig.set("bell", {})
    request = rig.replica.queue.request()
    assert request is not None
    assert decode_edits(request.body).answered == 1


def test_core_keeps_an_answer_that_an_edit_to_come_is_made_on(rig: Rig) -> None:
    rig.set("cart", {})
    rig.send()
    rig.merge("cart", {"a": 1})
    rig.sync()
    request = rig.replica.queue.request()
    assert request is not None
    batch = decode_edits(request.body)
    assert batch.answered == 0
    assert rig.replica.queue.unanswered[0].edit.base == OwnEdit(1)


# ── another client id ────────────────────────────────────────────────────────


def test_what_is_pending_goes_out_under_a_new_id_where_the_id_is_anothers(rig: Rig) -> None:
    rig.set("cart", {})
    rig.merge("cart", {"a": 1})
    request = rig.replica.queue.request()
    assert request is not None
    rig.replica.taken(request)
    assert numbers(rig) == [("a2", 1), ("a2", 2)]
    assert rig.replica.queue.entries[1].edit.base == OwnEdit(1)


def test_a_new_id_outlives_a_crash(rig: Rig) -> None:
    rig.set("cart", {})
    request = rig.replica.queue.request()
    assert request is not None
    rig.replica.taken(request)
    rig.keep()
    rig.crash()
    rig.set("bell", {})
    assert numbers(rig) == [("a2", 1), ("a2", 2)]


def test_an_edit_that_was_prepared_under_the_old_id_is_prepared_again(rig: Rig) -> None:
    rig.set("cart", {})
    request = rig.replica.queue.request()
    assert request is not None
    rig.replica.prepare([Wish(CHANNEL, "bell", Set({}))], None)
    rig.replica.taken(request)
    assert rig.replica.accept() is None


def test_of_several_edits_one_by_one_shows_which_number_was_used_otherwise(
    rig: Rig, core: CoreModel
) -> None:
    # A queue that was copied: the other one has used number 2 for something else.
    rig.add("cart", own=1)
    other = Rig(core, "a")
    other.sync()
    other.add("cart", own=1)
    other.add("cart", other=1)
    other.replica.queue.entries[0].edit = rig.replica.queue.entries[0].edit
    other.replica.queue.entries[0].body = rig.replica.queue.entries[0].body
    other.send()
    rig.add("cart", more=1)
    rig.send()
    assert core.value(CHANNEL, "cart") == {"own": 1, "other": 1, "more": 1}


def test_an_edit_that_an_event_has_shown_is_not_sent_under_another_id(
    rig: Rig, core: CoreModel
) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    assert answer is not None
    rig.sync()
    rig.replica.taken(answer[0])
    rig.keep()
    rig.send()
    assert core.value(CHANNEL, "cart") == {"count": 1}
    assert rig.outcomes[1].outcome == "applied"


def test_a_request_that_core_does_not_take_is_split(rig: Rig) -> None:
    rig.set("cart", {})
    rig.set("bell", {})
    request = rig.replica.queue.request()
    assert request is not None
    rig.replica.unacceptable(request, INVALID)
    alone = rig.replica.queue.request()
    assert alone is not None
    assert len(alone.ids) == 1


def test_an_edit_that_core_does_not_take_alone_is_given_up_and_says_why(rig: Rig) -> None:
    rig.set("cart", {"a": 1})
    rig.set("bell", {})
    for _ in range(2):
        request = rig.replica.queue.request()
        assert request is not None
        rig.replica.unacceptable(request, INVALID)
    error = rig.view("cart").error
    assert error is not None
    assert error.slug == "invalid"
    assert numbers(rig) == [("a2", 1)]


# ── another log ──────────────────────────────────────────────────────────────


def test_nothing_is_sent_before_core_has_said_how_far_it_is(rig: Rig, core: CoreModel) -> None:
    rig.set("cart", {})
    core.restore()
    rig.begin(reason="epoch")
    assert rig.replica.queue.request() is None
    assert rig.replica.queue.question == "a1"


def test_what_the_other_log_does_not_have_goes_out_as_concurrent(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.merge("cart", {"b": 1})
    core.restore()
    rig.sync()
    rig.inquire()
    entry = rig.replica.queue.entries[0]
    assert (entry.client, entry.n, entry.edit.base) == ("a2", 1, None)


def test_what_was_answered_and_not_seen_is_sent_again_if_the_other_log_lost_it(
    rig: Rig, core: CoreModel
) -> None:
    rig.add("cart", count=1)
    rig.send()
    core.restore()
    rig.sync()
    rig.send()
    rig.sync()
    assert core.value(CHANNEL, "cart") == {"count": 1}
    assert rig.view("cart").pending == 0


def test_what_the_other_log_has_settled_is_not_sent_under_another_name(
    rig: Rig, core: CoreModel
) -> None:
    rig.add("cart", count=1)
    rig.ask()
    core.back_up()
    core.restore()
    rig.sync()
    rig.send()
    assert core.value(CHANNEL, "cart") == {"count": 1}


def test_an_answer_of_the_other_log_says_nothing(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    core.restore()
    rig.sync()
    assert answer is not None
    rig.hear(answer)
    rig.send()
    rig.sync()
    assert core.value(CHANNEL, "cart") == {"count": 1}


def test_a_client_that_core_has_forgotten_begins_anew(rig: Rig, core: CoreModel) -> None:
    rig.set("cart", {})
    rig.send()
    rig.sync()
    core.state.clients.clear()
    rig.add("cart", count=1)
    rig.send()
    assert core.value(CHANNEL, "cart") == {"count": 1}
    assert rig.replica.queue.client == "a2"


def test_an_epoch_that_changed_while_the_program_was_away_is_noticed(
    rig: Rig, core: CoreModel
) -> None:
    rig.merge("cart", {"b": 1})
    rig.crash()
    core.restore()
    rig.sync()
    assert rig.replica.queue.asking


def test_an_answer_to_a_request_that_was_given_up_lets_no_second_one_go(rig: Rig) -> None:
    rig.set("cart", {"a": 1})
    late = rig.ask()
    assert late is not None
    rig.replica.queue.failed(late[0])
    assert rig.ask() is not None
    rig.set("bell", {})
    rig.hear(late)
    assert rig.replica.queue.request() is None
