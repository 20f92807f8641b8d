"""Edits of many clients at once: numbers, repeats, gaps, batches that are atomic, room."""

from __future__ import annotations

import pytest

from client_sdk.contract.state.edit import OwnEdit, UnreadableEdit
from client_sdk.contract.state.operations import Add, Delete, Merge, Set
from core_api.access.callers import Caller
from core_api.documents.kept_versions import Head
from core_api.edits.outcomes import FORGOTTEN
from core_api.edits.planning import components_of
from core_api.edits.what_was_read import KnownClient, Room
from core_api.errors import (
    ClientTakenError,
    CoreError,
    EditGapError,
    EditMismatchError,
    TooManyClientsError,
)
from server_common.limits import CHANNEL_DOCUMENT_BYTES, CHANNEL_DOCUMENTS
from tests.unit.core_api.edits.samples import (
    CHANNEL,
    Database,
    edit,
    events,
    outcomes,
    request,
    versions,
)
from tests.unit.core_api.samples import NOW

UNREADABLE = UnreadableEdit(1, "invalid", "it is no edit", b"hash")
OTHER = "public:13"


# numbers


def test_edits_are_settled_in_the_order_of_their_numbers_and_a_refusal_uses_up_its_own() -> None:
    plan = Database().plan(
        request("x", UNREADABLE, edit(2), edit(3, "unknown"), edit(4, base=OwnEdit(2)))
    )
    assert outcomes(plan.answers[0]) == ["invalid", "applied", "unknown-document", "applied"]
    assert plan.rows.clients == [("x", 0, 0, 4, 0)]
    assert [row[2] for row in plan.rows.outcomes] == [1, 2, 3, 4]
    assert events(plan) == [(CHANNEL, "a", 1), (CHANNEL, "a", 2)]
    assert versions(plan) == {(CHANNEL, "a"): 2}


@pytest.mark.parametrize("numbers", [(2,), (1, 3)])
def test_a_number_that_leaves_some_out_settles_nothing(numbers: tuple[int, ...]) -> None:
    plan = Database().plan(request("x", *(edit(n, base=None) for n in numbers)))
    (answer,) = plan.answers
    assert isinstance(answer, EditGapError)
    assert answer.settled == 0
    assert (plan.rows.clients, plan.rows.outcomes, plan.rows.events) == ([], [], [])


def test_the_next_number_of_a_client_that_is_known_goes_on() -> None:
    known = Database(clients={"x": KnownClient("owner:kim", 7)})
    plan = known.plan(request("x", edit(8), answered=5))
    assert plan.rows.clients == [("x", 0, 7, 8, 5)]
    assert plan.new_clients == []
    (gap,) = known.plan(request("x", edit(9))).answers
    assert isinstance(gap, EditGapError)
    assert gap.settled == 7


def test_a_client_cannot_have_answers_that_were_not_given() -> None:
    assert Database().plan(request("x", edit(1), answered=99)).rows.clients[0][4] == 1


def test_a_client_of_somebody_else_is_refused_and_harms_no_other() -> None:
    known = Database(clients={"x": KnownClient("owner:lee", 0)})
    taken, fine = known.plan(request("x", edit(1)), request("y", edit(1, "b"))).answers
    assert isinstance(taken, ClientTakenError)
    assert outcomes(fine) == ["applied"]


def test_a_new_client_of_a_subject_that_has_enough_is_refused_and_all_others_go_on() -> None:
    known = Database(clients={"x": KnownClient("owner:kim", 0)}, full=frozenset({"owner:kim"}))
    others = Caller("lee", "owner", frozenset({"*"}))
    plan = known.plan(
        request("x", edit(1)),
        request("new", edit(1, "b")),
        request("y", edit(1, "c"), caller=others),
    )
    mine, refused, theirs = plan.answers
    assert isinstance(refused, TooManyClientsError)
    assert (outcomes(mine), outcomes(theirs)) == (["applied"], ["applied"])
    assert [client for client, _ in plan.new_clients] == ["y"]


def test_a_request_without_edits_makes_no_client() -> None:
    plan = Database().plan(request("x"), request("y", edit(1)))
    assert [answer.settled for answer in plan.answers if not isinstance(answer, CoreError)] == [
        0,
        1,
    ]
    assert [client for client, _ in plan.new_clients] == ["y"]


# repeats


def test_a_repeat_gets_its_first_answer_and_the_rest_goes_on() -> None:
    known = Database()
    first = known.commit(request("x", edit(1), edit(2, "unknown")))
    plan = known.plan(request("x", edit(1), edit(2, "unknown"), edit(3, "b")))
    (answer,) = plan.answers
    assert not isinstance(answer, CoreError)
    assert [one.repeated for one in answer.outcomes] == [True, True, False]
    assert outcomes(answer)[:2] == outcomes(first.answers[0])
    assert versions(plan) == {(CHANNEL, "b"): 1}
    assert [row[2] for row in plan.rows.outcomes] == [3]


def test_a_request_of_repeats_alone_writes_nothing() -> None:
    known = Database()
    known.commit(request("x", edit(1)))
    plan = known.plan(request("x", edit(1)))
    assert (plan.rows.clients, plan.rows.documents, plan.rows.outcomes) == ([], [], [])


def test_a_repeat_with_other_content_is_refused_whole() -> None:
    known = Database()
    known.commit(request("x", edit(1)))
    plan = known.plan(request("x", edit(1, do=Set({"n": 9})), edit(2, "b")))
    assert isinstance(plan.answers[0], EditMismatchError)
    assert plan.rows.documents == []


def test_a_repeat_whose_answer_is_kept_no_longer_says_so() -> None:
    known = Database(clients={"x": KnownClient("owner:kim", 1)})
    assert outcomes(known.plan(request("x", edit(1))).answers[0]) == [FORGOTTEN]


def test_an_edit_on_an_own_one_of_an_earlier_request_knows_what_became_of_it() -> None:
    known = Database()
    known.commit(request("x", edit(1), edit(2, "unknown")))
    known.heads[CHANNEL, "a"] = Head(1, {"n": 1}, 1, NOW)
    plan = known.plan(request("x", edit(3, base=OwnEdit(1)), edit(4, "b", base=OwnEdit(2))))
    assert outcomes(plan.answers[0]) == ["applied", "depends"]


def test_an_edit_on_an_own_one_of_another_document_depends_on_nothing_that_there_is() -> None:
    plan = Database().plan(request("x", edit(1), edit(2, "b", base=OwnEdit(1))))
    assert outcomes(plan.answers[0]) == ["applied", "depends"]


# two requests on one document


def test_so_it_is_if_an_earlier_request_has_settled_that_one() -> None:
    database = Database()
    database.commit(request("x", edit(1, "a")))
    plan = database.plan(request("x", edit(2, "b", base=OwnEdit(1))))
    assert outcomes(plan.answers[0]) == ["depends"]


def test_two_requests_on_one_document_see_each_other_and_are_written_once() -> None:
    one = request("x", edit(1, do=Merge({"x": 1})))
    two = request("y", edit(1, do=Merge({"y": 1})))
    plan = Database().plan(one, two)
    assert [outcomes(answer) for answer in plan.answers] == [["applied"], ["settled"]]
    assert versions(plan) == {(CHANNEL, "a"): 2}
    assert plan.rows.documents[0][7] == '{"x":1,"y":1}'
    assert plan.rows.documents[0][3] == 0, "the statement asks for the version that was read"
    assert plan.components == [0, 0]
    assert [row[2] for row in plan.rows.history] == ["a", "a"]


def test_what_is_written_is_what_an_order_may_obey() -> None:
    plan = Database().plan(request("x", edit(1)), request("y", edit(1, "b")))
    assert plan.rows.rules == [(0, "store:12")]
    assert plan.new_names == [(CHANNEL, "a"), (CHANNEL, "b")]
    assert plan.channels == frozenset({CHANNEL})


def test_requests_are_one_component_if_documents_join_them_however_far_around() -> None:
    requests = [
        request("v", edit(1, "a")),
        request("w", edit(1, "c", channel=OTHER)),
        request("x", edit(1, "b")),
        request("y", edit(1, "b"), edit(2, "a")),
        request("z", edit(1, "c")),
    ]
    first, apart, second, third, last = components_of(requests)
    assert first == second == third
    assert len({first, apart, last}) == 3


# atomic batches


def test_an_atomic_batch_of_which_one_is_refused_changes_nothing_but_uses_up_its_numbers() -> None:
    plan = Database().plan(request("x", edit(1), edit(2, "unknown"), edit(3, "b"), atomic=True))
    assert outcomes(plan.answers[0]) == ["depends", "unknown-document", "depends"]
    assert (plan.rows.documents, plan.rows.events, plan.rows.history) == ([], [], [])
    assert plan.rows.clients == [("x", 0, 0, 3, 0)]


def test_an_atomic_batch_stays_within_one_store() -> None:
    plan = Database().plan(request("x", edit(1), edit(2, channel=OTHER), atomic=True))
    assert outcomes(plan.answers[0]) == ["depends", "depends"]
    assert plan.rows.documents == []
    whole = Database().plan(request("x", edit(1), edit(2, "b"), atomic=True))
    assert outcomes(whole.answers[0]) == ["applied", "applied"]


def test_after_an_atomic_batch_was_undone_the_next_sees_the_document_as_it_was() -> None:
    known = Database(heads={(CHANNEL, "a"): Head(4, {"k": 1}, 1, NOW)})
    undone = request("x", edit(1, do=Merge({"k": 2}), base=4), edit(2, "unknown"), atomic=True)
    plan = known.plan(undone, request("y", edit(1, do=Add({"/k": 10}), base=4)))
    assert outcomes(plan.answers[1]) == ["applied"]
    assert versions(plan) == {(CHANNEL, "a"): 5}
    assert plan.rows.documents[0][7] == '{"k":11}'


def test_what_an_undone_batch_did_is_no_version_for_those_who_come_after() -> None:
    """Of version 5 there was one that was undone; who edits on 5 has seen the other."""
    known = Database(heads={(CHANNEL, "a"): Head(4, {"k": 1, "l": 1}, 1, NOW)})
    undone = request("x", edit(1, do=Merge({"k": 2}), base=4), edit(2, "unknown"), atomic=True)
    fifth = request("y", edit(1, do=Merge({"l": 2}), base=4))
    sixth = request("z", edit(1, do=Merge({"l": 3}), base=5))
    last = request("w", edit(1, do=Set({"k": 1, "l": 2, "m": 1}), base=5))
    plan = known.plan(undone, fifth, sixth, last)
    assert [outcomes(answer) for answer in plan.answers[1:]] == [
        ["applied"], ["applied"], ["settled"],
    ]  # fmt: skip
    assert plan.rows.documents[0][7] == '{"k":1,"l":3,"m":1}'
    assert [row[3] for row in plan.rows.history] == [5, 6, 7]


def test_an_undone_batch_gives_its_room_back() -> None:
    known = Database(rooms={CHANNEL: Room(CHANNEL_DOCUMENTS - 1, 0)})
    undone = request("x", edit(1), edit(2, "unknown"), atomic=True)
    plan = known.plan(undone, request("y", edit(1, "b")), request("z", edit(1, "c")))
    assert [outcomes(answer) for answer in plan.answers[1:]] == [
        ["applied"],
        ["too-many-documents"],
    ]


# room


def test_a_channel_that_has_all_its_documents_takes_no_more_but_changes_and_deletes() -> None:
    known = Database(
        rooms={CHANNEL: Room(CHANNEL_DOCUMENTS, 10)},
        heads={(CHANNEL, "a"): Head(1, {"n": 0}, 1, NOW)},
    )
    plan = known.plan(
        request(
            "x",
            edit(1, "b"),
            edit(2, "a", base=1),
            edit(3, "a", Delete(), OwnEdit(2)),
            edit(4, "b"),
        )
    )
    assert outcomes(plan.answers[0]) == ["too-many-documents", "applied", "applied", "applied"]


def test_a_channel_that_is_full_by_bytes_takes_only_what_makes_it_smaller() -> None:
    known = Database(
        rooms={CHANNEL: Room(2, CHANNEL_DOCUMENT_BYTES)},
        heads={(CHANNEL, "a"): Head(1, {"n": 1000}, 1, NOW)},
    )
    plan = known.plan(
        request(
            "x",
            edit(1, "b"),
            edit(2, "a", Set({"n": 10000}), 1),
            edit(3, "a", Set({"n": 10}), 1),
            edit(4, "a", Set({"n": 200}), OwnEdit(3)),
        )
    )
    assert outcomes(plan.answers[0]) == [
        "too-many-documents", "too-many-documents", "applied", "applied",
    ]  # fmt: skip


def test_the_rooms_of_channels_are_apart() -> None:
    known = Database(rooms={CHANNEL: Room(CHANNEL_DOCUMENTS, 0)})
    plan = known.plan(request("x", edit(1), edit(2, channel=OTHER)))
    assert outcomes(plan.answers[0]) == ["too-many-documents", "applied"]


def test_who_may_not_write_is_refused_that_edit_alone() -> None:
    till = Caller("till", "producer", frozenset({"12"}))
    plan = Database().plan(request("x", edit(1), caller=till))
    assert outcomes(plan.answers[0]) == ["forbidden"]
