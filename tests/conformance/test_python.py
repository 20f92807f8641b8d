"""The Python SDK answers every case as the files say."""

from __future__ import annotations

from typing import Final

import pytest

from client_sdk.machine.inputs_by_state import COUNTS
from client_sdk.machine.messages import Acknowledged, State, StreamDocument
from tests.conformance import cases, subject
from tests.conformance.cases import Json
from tests.conformance.machine_subject import cells

CASES: Final = [
    pytest.param(of, case, id=f"{of}: {case['name']}")
    for of in cases.files()
    for case in cases.cases(of)
    if case.get("only", "python") == "python"
]


@pytest.mark.parametrize(("of", "case"), CASES)
def test_the_sdk_answers_as_the_file_says(of: str, case: Json) -> None:
    difference = cases.difference(case["expect"], subject.answer(of, case))
    assert not difference, difference


def test_no_two_cases_of_a_file_have_one_name() -> None:
    for of in cases.files():
        names = [case["name"] for case in cases.cases(of)]
        assert len(names) == len(set(names)), of


def test_the_schedules_come_through_every_cell_of_the_transition_table() -> None:
    seen = {
        cell for case in cases.cases("machine") for cell in cells(case, case["expect"]["steps"])
    }
    # A machine that is never under pressure is never told Acknowledged; the cases are of orders.
    wanted = {
        (state.value, signal.__name__, state in states)
        for signal, states in COUNTS.items()
        for state in State
        if signal not in (Acknowledged, StreamDocument)
    }
    assert wanted - seen == set()


def test_what_the_table_ignores_does_nothing() -> None:
    ignored = {
        (state.value, signal.__name__)
        for signal, states in COUNTS.items()
        for state in State
        if state not in states
    }
    for case in cases.cases("machine"):
        for state, signal, did in cells(case, case["expect"]["steps"]):
            assert not (did and (state, signal) in ignored), case["name"]
