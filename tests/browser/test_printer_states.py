"""The terminal's pure rules for the documents of printing, run by Node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core_api.printing.definitions import PRINTING_DEFINITION
from core_api.printing.routing import MAX_COPIES, MAX_PRINTERS, PRINTED_STATUSES, Printer
from tests.browser.node_module import node_module

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Asks what an expression gives, with the rules as `module`."""
    with node_module(
        "terminal/printing/printer_states.js", tmp_path_factory.mktemp("rules")
    ) as module:
        yield module.evaluate


def a_ticket(key: str = "print.o1-1-1", **more: Any) -> dict[str, Any]:
    value = {"seq": 1, "copy": 1, "state": "queued", "waits": False} | more
    return {"key": key, "value": value}


def tickets(run: Run, *documents: dict[str, Any]) -> list[str]:
    return [one["id"] for one in run(f"module.ticketsIn({json.dumps(documents)})")]


def needs_care(run: Run, **more: Any) -> bool:
    one = {"id": "k", "state": "online", "troubles": [], "tickets": []} | more
    return bool(run(f"module.needsAttention({json.dumps(one)})"))


def test_the_terminal_offers_what_core_takes(run: Run) -> None:
    said = run(
        "[module.PRINTED_STATUSES, module.MAX_COPIES, module.MAX_PRINTERS,"
        " module.printersIn({ printers: { k: { statuses: ['ready'] } } })[0][1]]"
    )
    usual = Printer(["ready"])
    settings = {
        "statuses": ["ready"], "stations": usual.stations, "copies": usual.copies,
        "language": usual.language, "columns": usual.columns, "media": usual.media,
    }  # fmt: skip
    assert said == [list(PRINTED_STATUSES), MAX_COPIES, MAX_PRINTERS, settings]


def test_all_widths_that_are_offered_fit_the_definition(run: Run) -> None:
    printers = PRINTING_DEFINITION.schema["properties"]["printers"]
    columns = printers["additionalProperties"]["properties"]["columns"]
    for offered in run("module.COLUMNS"):
        assert columns["minimum"] <= offered <= columns["maximum"]


def test_tickets_stand_in_the_order_in_which_they_are_printed(run: Run) -> None:
    assert tickets(
        run,
        a_ticket("print.b", seq=2),
        a_ticket("print.a2", copy=2),
        a_ticket("print.a1"),
    ) == ["a1", "a2", "b"]


def test_what_is_on_paper_or_dropped_does_not_wait(run: Run) -> None:
    assert (
        tickets(
            run,
            a_ticket("print.done", state="done"),
            a_ticket("print.dropped", state="failed"),
            {"key": "print.gone", "value": None},
            {"key": "status", "value": {"state": "queued"}},
        )
        == []
    )


def test_a_ticket_that_waits_for_a_person_stays(run: Run) -> None:
    assert tickets(run, a_ticket("print.a", state="failed", waits=True)) == ["a"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, False),
        ({"tickets": [{"waits": False}]}, False),
        ({"state": "offline"}, False),
        ({"state": "offline", "tickets": [{"waits": False}]}, True),
        ({"tickets": [{"waits": True}]}, True),
        ({"troubles": ["paper end"]}, True),
    ],
)
def test_a_printer_needs_care_when_paper_may_not_come_out(
    run: Run, more: dict[str, Any], expected: bool
) -> None:
    assert needs_care(run, **more) is expected


def test_dishes_are_typed_one_a_line_and_stand_once(run: Run) -> None:
    assert run(r"module.dishesOf(' Beer\n\nCola \nBeer')") == ["Beer", "Cola"]


def test_a_printer_that_was_never_heard_of_and_has_tickets_needs_care(run: Run) -> None:
    assert needs_care(run, state="unknown", tickets=[{"waits": False}])
    assert not needs_care(run, state="unknown")
