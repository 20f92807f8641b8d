"""What is shown, and when a pending edit leaves the view (promise 12)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from msgspec import UNSET

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.document import DocumentEvent
from client_sdk.contract.state.operations import Call, Merge, Set
from client_sdk.machine.sequencing import DocumentReset
from client_sdk.state.entries import Wish
from client_sdk.state.orders.commands import QueuedCommand, encode_command
from client_sdk.state.records import DropCommand, OpenConflict, PutCommand
from tests.unit.client_sdk.state.core_model import NOW, CoreModel
from tests.unit.client_sdk.state.rig import CHANNEL, Rig


@pytest.fixture
def core() -> CoreModel:
    return CoreModel()


@pytest.fixture
def rig(core: CoreModel) -> Rig:
    rig = Rig(core)
    rig.sync()
    return rig


def test_an_edit_is_shown_at_once_and_is_pending(rig: Rig) -> None:
    rig.set("cart", {"a": 1})
    assert (rig.value("cart"), rig.view("cart").version, rig.view("cart").pending) == (
        {"a": 1},
        0,
        1,
    )


def test_pending_edits_are_applied_on_top_of_what_others_do(rig: Rig, core: CoreModel) -> None:
    rig.merge("cart", {"own": 1})
    core.write(CHANNEL, "cart", {"theirs": 1})
    rig.sync()
    assert rig.value("cart") == {"theirs": 1, "own": 1}


def test_an_answer_alone_takes_nothing_out_of_the_view(rig: Rig) -> None:
    rig.add("cart", count=1)
    rig.send()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 1}, 1)


def test_an_edit_leaves_the_view_with_its_event(rig: Rig) -> None:
    rig.add("cart", count=1)
    rig.send()
    rig.sync()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 1}, 0)


def test_an_edit_leaves_the_view_with_its_event_before_the_answer_is_there(rig: Rig) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    rig.sync()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 1}, 0)
    assert answer is not None
    rig.hear(answer)
    assert rig.replica.queue.entries == []


def test_an_edit_leaves_the_view_with_a_snapshot_that_contains_it(rig: Rig) -> None:
    rig.add("cart", count=1)
    rig.send()
    rig.begin()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 1}, 0)


def test_an_edit_leaves_the_view_with_its_answer_if_a_snapshot_had_it_before(rig: Rig) -> None:
    rig.add("cart", count=1)
    answer = rig.ask()
    rig.begin()
    assert answer is not None
    rig.hear(answer)
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 1}, 0)


def test_a_refused_edit_is_taken_back_and_says_why(rig: Rig, core: CoreModel) -> None:
    rig.set("first", {"own": 1})
    core.write(CHANNEL, "first", {"theirs": 1})
    rig.send()
    rig.sync()
    error = rig.view("first").error
    assert rig.value("first") == {"theirs": 1}
    assert error is not None
    assert error.slug == "edit-conflict"


def test_an_edit_that_was_put_aside_leaves_on_its_answer(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "last", {"theirs": 1})
    rig.set("last", {"own": 1})
    rig.send()
    assert rig.view("last").pending == 0


def test_an_edit_that_changed_nothing_leaves_on_its_answer(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.set("cart", {"a": 1})
    rig.send()
    assert rig.view("cart").pending == 0


def test_an_edit_that_no_longer_fits_is_left_out_and_still_sent(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.patch("cart", {"op": "replace", "path": "/a", "value": 2})
    core.write(CHANNEL, "cart", {"b": 1})
    rig.sync()
    assert (rig.value("cart"), rig.view("cart").left_out) == ({"b": 1}, 1)
    rig.send()
    assert len(core.requests) == 1


def test_an_edit_after_one_that_was_left_out_is_not_made_on_it(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.patch("cart", {"op": "replace", "path": "/a", "value": 2})
    core.write(CHANNEL, "cart", {"b": 1})
    rig.sync()
    rig.merge("cart", {"c": 1})
    assert rig.replica.queue.entries[-1].edit.base == 2


def test_an_edit_that_does_not_fit_what_is_shown_is_not_made(rig: Rig) -> None:
    with pytest.raises(StateError):
        rig.patch("cart", {"op": "remove", "path": "/a"})
    assert rig.replica.queue.entries == []


def test_a_number_that_was_not_used_is_used_by_the_next_edit(rig: Rig) -> None:
    with pytest.raises(StateError):
        rig.patch("cart", {"op": "remove", "path": "/a"})
    rig.set("cart", {})
    assert rig.replica.queue.entries[0].n == 1


def test_a_merge_says_what_its_client_saw(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"lines": {"a": {"quantity": 1}}, "note": "x"})
    rig.sync()
    rig.merge("cart", {"lines": {"a": {"quantity": 2}, "b": {"quantity": 1}}, "note": None})
    assert rig.replica.queue.entries[0].edit.seen == {"/lines/a/quantity": 1, "/note": "x"}


def test_a_merge_saw_the_pending_edits_too(rig: Rig) -> None:
    rig.merge("cart", {"note": "x"})
    rig.merge("cart", {"note": "y"})
    assert rig.replica.queue.entries[1].edit.seen == {"/note": "x"}


def test_a_call_is_shown_by_what_the_program_knows_of_it(core: CoreModel) -> None:
    rig = Rig(core, calls={"bell": {"ring": lambda value, _: {**(value or {}), "rung": True}}})
    rig.sync()
    rig.do("bell", Call("ring"))
    assert rig.value("bell") == {"rung": True}


def test_a_call_that_the_program_knows_nothing_of_changes_nothing_here(rig: Rig) -> None:
    rig.do("bell", Call("ring"))
    assert (rig.value("bell"), rig.view("bell").pending) == (None, 1)


def test_a_key_outside_the_grammar_is_refused_here(rig: Rig) -> None:
    with pytest.raises(StateError, match="is not a key"):
        rig.set("a/b", {})


def test_a_value_that_no_document_may_hold_is_refused_here(rig: Rig) -> None:
    with pytest.raises(StateError):
        rig.set("cart", {"price": 1.5})


def test_all_or_none_holds_within_one_store(core: CoreModel) -> None:
    rig = Rig(core, channels=["public:1", "public:2"])
    with pytest.raises(StateError, match="one store"):
        rig.edit(Wish("public:1", "a", Set({})), Wish("public:2", "a", Set({})), atomic=True)


# ── large values ─────────────────────────────────────────────────────────────


def test_the_old_value_is_shown_until_a_large_one_is_there() -> None:
    core = CoreModel(large=100)
    rig = Rig(core)
    core.write(CHANNEL, "menu", {"a": 1})
    rig.sync()
    core.write(CHANNEL, "menu", {"text": "x" * 200})
    rig.next_event()
    before = rig.view("menu")
    rig.load()
    after = rig.view("menu")
    assert (before.value, before.version, before.loading) == ({"a": 1}, 1, True)
    assert (after.value, after.version, after.loading) == ({"text": "x" * 200}, 2, False)


def test_a_large_value_is_made_from_its_diff_where_that_is_there() -> None:
    core = CoreModel(large=150)
    rig = Rig(core)
    core.write(CHANNEL, "menu", {"text": "x" * 100})
    rig.sync()
    core.write(CHANNEL, "menu", {"text": "x" * 100, "more": "y" * 50})
    rig.next_event()
    assert rig.value("menu") == core.value(CHANNEL, "menu")
    assert not rig.view("menu").loading


def test_an_own_edit_stays_in_the_view_until_its_large_value_is_there() -> None:
    core = CoreModel(large=100)
    rig = Rig(core)
    rig.sync()
    rig.set("menu", {"text": "x" * 200})
    rig.send()
    rig.next_event()
    assert rig.value("menu") == {"text": "x" * 200}
    assert rig.view("menu").pending == 1
    rig.load()
    assert rig.view("menu").pending == 0


def test_digests_are_compared_only_when_every_value_is_there() -> None:
    core = CoreModel(large=100)
    rig = Rig(core)
    rig.sync()
    core.write(CHANNEL, "menu", {"text": "x" * 200})
    rig.next_event()
    assert rig.replica.agrees(CHANNEL, core.digest(CHANNEL)) is None
    rig.load()
    assert rig.replica.agrees_now(CHANNEL) is True


def test_documents_that_differ_from_cores_are_found(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    core.state.values[CHANNEL, "cart"][-1] = {"a": 2}
    assert rig.replica.agrees(CHANNEL, core.digest(CHANNEL)) is False


def test_pending_edits_are_in_no_digest(rig: Rig, core: CoreModel) -> None:
    rig.set("cart", {"a": 1})
    assert rig.replica.agrees(CHANNEL, core.digest(CHANNEL)) is True


# ── documents that end ───────────────────────────────────────────────────────


def test_a_document_is_gone_when_its_deletion_is_seen(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    core.write(CHANNEL, "cart", None)
    rig.sync()
    assert (rig.value("cart"), rig.view("cart").version) == (None, 2)


def test_an_own_deletion_that_only_a_snapshot_shows_leaves_the_view(
    rig: Rig, core: CoreModel
) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.delete("cart")
    rig.send()
    rig.begin()
    rig.load()
    assert (rig.view("cart").pending, rig.replica.queue.entries) == (0, [])


def test_an_answer_after_a_snapshot_without_the_document_leaves_nothing_pending(
    rig: Rig, core: CoreModel
) -> None:
    rig.set("cart", {"a": 1})
    answer = rig.ask()
    core.write(CHANNEL, "cart", None)
    rig.begin()
    assert answer is not None
    rig.hear(answer)
    rig.load()
    assert (rig.value("cart"), rig.view("cart").pending) == (None, 0)


# ── snapshots that come late ─────────────────────────────────────────────────


@pytest.fixture
def fetched(rig: Rig, core: CoreModel) -> DocumentReset:
    """A snapshot that was under way when the client has fetched a newer version of the document."""
    core.write(CHANNEL, "cart", {"a": 1})
    late = core.snapshot(CHANNEL, "retention")
    rig.merge("cart", {"b": 1})
    rig.send()
    rig.load()
    return late


def test_a_late_snapshot_takes_no_fetched_version_back(rig: Rig, fetched: DocumentReset) -> None:
    rig.replica.take(fetched, "E1")
    assert (rig.value("cart"), rig.view("cart").version) == ({"a": 1, "b": 1}, 2)


def test_nor_does_one_after_the_digests_differed(rig: Rig, fetched: DocumentReset) -> None:
    rig.replica.take(replace(fetched, reason="digest"), "E1")
    assert (rig.value("cart"), rig.view("cart").version) == ({"a": 1, "b": 1}, 2)


def test_no_digest_is_compared_before_the_log_has_brought_what_was_fetched(
    rig: Rig, core: CoreModel, fetched: DocumentReset
) -> None:
    rig.replica.take(fetched, "E1")
    rig.seqs[CHANNEL] = fetched.head
    before = rig.replica.agrees(CHANNEL, core.digest(CHANNEL))
    rig.sync()
    assert (before, rig.replica.agrees(CHANNEL, core.digest(CHANNEL))) == (None, True)


def test_a_fetched_document_that_a_late_snapshot_lacks_is_shown_and_asked_for(
    rig: Rig, fetched: DocumentReset
) -> None:
    rig.replica.take(replace(fetched, documents=()), "E1")
    before = rig.view("cart")
    rig.load()
    after = rig.view("cart")
    assert (before.value, before.loading) == ({"a": 1, "b": 1}, True)
    assert (after.value, after.loading) == ({"a": 1, "b": 1}, False)


def test_a_fetched_document_that_was_deleted_since_is_gone(
    rig: Rig, core: CoreModel, fetched: DocumentReset
) -> None:
    core.write(CHANNEL, "cart", None)
    rig.begin(reason="retention")
    rig.load()
    assert rig.value("cart") is None
    assert rig.replica.agrees(CHANNEL, core.digest(CHANNEL)) is True


# ── conflicts ────────────────────────────────────────────────────────────────


def test_a_conflict_waits_with_all_that_a_person_needs(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "ask", {"a": 1})
    rig.sync()
    rig.set("ask", {"a": 2})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    rig.sync()
    waiting = rig.view("ask").conflict
    assert waiting is not None
    assert rig.value("ask") == {"a": 3}
    conflict = waiting.conflict
    assert (conflict.base, conflict.current, conflict.own) == ({"a": 1}, {"a": 3}, {"a": 2})


def test_a_conflict_tells_of_the_whole_chain_that_was_made_on_it(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "ask", {"a": 1})
    rig.sync()
    rig.set("ask", {"a": 2})
    rig.merge("ask", {"b": 1})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    (waiting,) = rig.conflicts
    assert waiting.conflict.own == {"a": 2, "b": 1}


def test_a_conflict_outlives_a_crash(rig: Rig, core: CoreModel) -> None:
    rig.set("ask", {"a": 2})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    rig.crash()
    waiting = rig.view("ask").conflict
    assert waiting is not None
    assert waiting.conflict.own == {"a": 2}


def test_what_decides_a_conflict_is_made_on_the_version_it_was_shown(
    rig: Rig, core: CoreModel
) -> None:
    rig.set("ask", {"a": 2})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    waiting = rig.view("ask").conflict
    assert waiting is not None
    decide(rig, waiting)
    rig.sync()
    assert (core.value(CHANNEL, "ask"), rig.view("ask").conflict) == ({"a": 4}, None)


def decide(rig: Rig, waiting: OpenConflict) -> None:
    """Decide the conflict for another value, and send that."""
    rig.edit(Wish(CHANNEL, "ask", Set({"a": 4})), decides=waiting.id)
    rig.replica.decided(waiting)
    rig.send()


@pytest.fixture
def of_another_log(rig: Rig, core: CoreModel) -> OpenConflict:
    """A conflict that waits when the log begins anew, without the document that it is about."""
    rig.set("ask", {"a": 2})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    core.restore()
    (waiting,) = rig.conflicts
    return waiting


def test_what_decides_a_conflict_of_another_log_overwrites_nothing_of_this_one(
    rig: Rig, core: CoreModel, of_another_log: OpenConflict
) -> None:
    core.write(CHANNEL, "ask", {"a": 9})
    rig.begin(reason="epoch")
    rig.inquire()
    decide(rig, of_another_log)
    again = rig.view("ask").conflict
    assert again is not None
    assert (core.value(CHANNEL, "ask"), again.conflict.current) == ({"a": 9}, {"a": 9})


def test_so_it_is_after_a_crash(rig: Rig, core: CoreModel, of_another_log: OpenConflict) -> None:
    core.write(CHANNEL, "ask", {"a": 9})
    rig.begin(reason="epoch")
    rig.inquire()
    rig.crash()
    decide(rig, of_another_log)
    assert core.value(CHANNEL, "ask") == {"a": 9}


def test_what_decides_a_conflict_of_another_log_takes_effect_where_there_is_no_document(
    rig: Rig, core: CoreModel, of_another_log: OpenConflict
) -> None:
    rig.begin(reason="epoch")
    rig.inquire()
    decide(rig, of_another_log)
    assert core.value(CHANNEL, "ask") == {"a": 4}


# ── restarts ─────────────────────────────────────────────────────────────────


def test_what_was_last_known_is_shown_after_a_start_without_a_network(
    rig: Rig, core: CoreModel
) -> None:
    core.write(CHANNEL, "cart", {"a": 1})
    rig.sync()
    rig.merge("cart", {"b": 2})
    rig.crash()
    view = rig.view("cart")
    assert (view.value, view.pending, view.loading) == ({"a": 1, "b": 2}, 1, True)


def test_an_edit_whose_event_was_seen_is_not_shown_twice_after_a_crash(rig: Rig) -> None:
    rig.add("cart", count=1)
    rig.ask()
    rig.sync()
    rig.crash()
    rig.sync()
    assert rig.value("cart") == {"count": 1}


def test_an_edit_before_anything_is_known_names_no_base(core: CoreModel) -> None:
    rig = Rig(core)
    rig.edit(Wish(CHANNEL, "cart", Merge({"a": 1})))
    assert rig.replica.queue.entries[0].edit.base is None


def test_a_conflict_tells_of_edits_on_edits_of_it(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "ask", {"a": 1})
    rig.sync()
    rig.set("ask", {"a": 2})
    rig.merge("ask", {"b": 1})
    rig.merge("ask", {"c": 1})
    core.write(CHANNEL, "ask", {"a": 3})
    rig.send()
    assert rig.conflicts[0].conflict.own == {"a": 2, "b": 1, "c": 1}


def test_a_diff_is_applied_to_the_version_before_it_only() -> None:
    core = CoreModel(large=20)
    rig = Rig(core)
    core.write(CHANNEL, "menu", {"a": 1})
    rig.sync()
    for text in ("x" * 30, "y" * 30):
        core.write(CHANNEL, "menu", {"a": 1, "t": text})
    later = msgspec.structs.replace(
        core.event(CHANNEL, 3), diff=[{"op": "add", "path": "/b", "value": 1}], data=UNSET
    )
    rig.replica.take(later, core.epoch)
    assert rig.view("menu").loading
    assert rig.value("menu") == {"a": 1}


# ── a snapshot with an edit whose answer was lost ────────────────────────────


def lost(rig: Rig) -> None:
    """Send what waits; Core settles it, and the answer is lost."""
    answer = rig.ask()
    assert answer is not None
    rig.replica.queue.failed(answer[0])


def test_an_edit_that_a_snapshot_contains_is_shown_once_before_its_answer(rig: Rig) -> None:
    rig.add("cart", n=1)
    lost(rig)
    rig.begin()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"n": 1}, 0)
    rig.send()
    assert rig.outcomes[1].outcome == "applied"
    assert rig.value("cart") == {"n": 1}


def test_so_are_those_that_the_client_made_of_the_document_before_it(rig: Rig) -> None:
    rig.add("cart", n=1)
    rig.add("bell", n=1)
    rig.add("cart", n=1)
    lost(rig)
    rig.begin()
    rig.add("cart", n=1)
    assert (rig.value("cart"), rig.view("cart").pending) == ({"n": 3}, 1)


def test_after_a_crash_a_snapshot_tells_it_too(rig: Rig) -> None:
    rig.add("cart", n=1)
    lost(rig)
    rig.crash()
    rig.begin()
    assert rig.value("cart") == {"n": 1}


def test_an_edit_that_a_snapshot_does_not_contain_stays_on_top(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"n": 5})
    rig.add("cart", n=1)
    rig.begin()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"n": 6}, 1)


def test_a_value_that_is_fetched_tells_it_too() -> None:
    rig = Rig(CoreModel(large=2))
    rig.sync()
    rig.set("cart", {"n": 1})
    lost(rig)
    rig.begin()
    rig.load()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"n": 1}, 0)


# ── an answer that was lost ──────────────────────────────────────────────────


def lost_answer(rig: Rig) -> None:
    """What is in the queue is settled, and nobody here hears of it."""
    answer = rig.ask()
    assert answer is not None
    rig.replica.queue.failed(answer[0])


def test_an_edit_is_never_shown_twice_though_its_answer_is_lost_and_others_came_after(
    rig: Rig, core: CoreModel
) -> None:
    rig.add("cart", count=1)
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"count": 6})
    rig.begin()
    assert (rig.value("cart"), rig.view("cart").loading) == ({"count": 1}, True)
    rig.send()
    assert (rig.value("cart"), rig.view("cart").loading) == ({"count": 6}, False)


def test_a_snapshot_is_shown_at_once_to_who_has_sent_nothing(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    core.write(CHANNEL, "cart", {"count": 6})
    rig.begin()
    assert (rig.value("cart"), rig.view("cart").loading) == ({"count": 7}, False)


def test_an_event_is_shown_at_once_as_it_names_its_author(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"count": 6})
    rig.next_event()
    rig.next_event()
    assert (rig.value("cart"), rig.view("cart").loading) == ({"count": 6}, False)


def test_the_digest_is_that_of_what_is_held_back(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"count": 6})
    rig.begin()
    assert rig.replica.agrees(CHANNEL, core.digest(CHANNEL))


def test_what_a_backup_had_settled_is_shown_once_after_a_restore(rig: Rig, core: CoreModel) -> None:
    rig.add("cart", count=1)
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"count": 6})
    core.back_up()
    core.restore()
    rig.begin(reason="epoch")
    assert rig.value("cart") == {"count": 1}
    rig.inquire()
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 6}, 0)


@pytest.fixture
def taken_back(rig: Rig, core: CoreModel) -> None:
    """An own edit of which the event was seen, not the answer, when a restore takes it back."""
    core.write(CHANNEL, "cart", {"count": 4})
    core.back_up()
    rig.sync()
    rig.add("cart", count=1)
    lost_answer(rig)
    rig.sync()
    core.restore()
    of_the_new_log = rig.ask()
    assert of_the_new_log is not None
    rig.hear(of_the_new_log)
    rig.inquire()


@pytest.mark.usefixtures("taken_back")
def test_what_a_restore_took_back_is_shown_once_on_the_log_before(rig: Rig) -> None:
    assert (rig.value("cart"), rig.view("cart").pending) == ({"count": 5}, 1)


@pytest.mark.usefixtures("taken_back")
def test_so_it_is_while_the_new_logs_value_is_held_back(rig: Rig, core: CoreModel) -> None:
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"count": 9})
    rig.begin(reason="epoch")
    assert (rig.value("cart"), rig.view("cart").loading) == ({"count": 5}, True)


@pytest.mark.usefixtures("taken_back")
def test_then_it_is_shown_on_top_of_the_new_logs_value(rig: Rig, core: CoreModel) -> None:
    core.write(CHANNEL, "cart", {"count": 7})
    rig.begin(reason="epoch")
    assert rig.value("cart") == {"count": 8}


def test_what_a_backup_had_settled_stays_on_what_stands_in_for_its_value(
    rig: Rig, core: CoreModel
) -> None:
    rig.add("cart", first=1)
    lost_answer(rig)
    core.back_up()
    core.restore()
    rig.add("cart", second=1)
    of_the_new_log = rig.ask()
    assert of_the_new_log is not None
    rig.hear(of_the_new_log)
    rig.inquire()
    settled = rig.ask()
    assert settled is not None
    rig.hear(settled)
    lost_answer(rig)
    core.write(CHANNEL, "cart", {"first": 1, "second": 1, "third": 1})
    rig.begin(reason="epoch")
    assert rig.value("cart") == {"first": 1, "second": 1}


@pytest.fixture
def of_the_log_before(rig: Rig, core: CoreModel) -> DocumentEvent:
    """The event of an own edit, under way when a restore takes the edit back; one more is made."""
    core.write(CHANNEL, "cart", {"count": 0})
    core.back_up()
    rig.sync()
    rig.add("cart", count=1)
    rig.send()
    event = core.event(CHANNEL, 2)
    core.restore()
    rig.add("cart", count=1)
    answer = rig.ask()
    assert answer is not None
    rig.hear(answer)
    return event


def test_an_event_of_the_log_before_shows_no_edit_twice_that_has_another_name_now(
    rig: Rig, of_the_log_before: DocumentEvent
) -> None:
    rig.inquire()
    rig.replica.take(of_the_log_before, "E1")
    assert rig.value("cart") == {"count": 2}


def test_nor_does_one_that_comes_before_core_has_said_how_far_it_is(
    rig: Rig, of_the_log_before: DocumentEvent
) -> None:
    rig.replica.take(of_the_log_before, "E1")
    assert rig.value("cart") == {"count": 2}


def test_what_is_being_made_when_the_log_begins_anew_is_made_again(
    rig: Rig, core: CoreModel
) -> None:
    core.write(CHANNEL, "cart", {"count": 0})
    rig.sync()
    rig.replica.prepare([Wish(CHANNEL, "cart", Set({"count": 1}))], NOW)
    core.restore()
    rig.begin(reason="epoch")
    rig.inquire()
    assert rig.replica.accept() is None


# ── what a crash leaves ──────────────────────────────────────────────────────


def test_the_place_of_a_kept_command_is_never_given_again(rig: Rig) -> None:
    rig.set("cart", {})
    place = rig.replica.queue.next_id
    body = {
        "store_id": "12",
        "currency": "KRW",
        "items": [{"name": "Tea", "quantity": 1, "unit_price": 1}],
    }
    command = QueuedCommand(id=place, key=f"a1-{place}", kind="place", body=body)
    rig.store.write([PutCommand(place, encode_command(command))])
    rig.crash()  # before the counters were kept
    rig.keep()
    rig.store.write([DropCommand(place)])
    rig.crash()
    assert rig.replica.queue.next_id == place + 1
