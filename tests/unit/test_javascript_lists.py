"""What the JavaScript and the pages know of the contract is what the Python contract says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, get_args

import pytest

from client_sdk.contract.device import DeviceMode
from client_sdk.contract.order import CLOSED_STATUSES, STATUSES, OrderStatus
from core_api.dashboard.alerts import Cause, Effect
from core_api.dashboard.processes import ProcessKind, ProcessState
from core_api.orders.lifecycle import NEXT
from core_api.printing.jobs import JobState
from core_api.receipts.metrics import KINDS
from deploy.contract_lists import TARGET, render

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "core_api/pages/static"
COLUMNS: Final = {"new", "progress", "ready", "done"}
_BOTH: Final = r'\[\s*"(?:[^"\\]|\\.)+",\s*"(?:[^"\\]|\\.)+",?\s*\]'


def test_the_lists_of_the_javascript_are_what_the_contract_says() -> None:
    assert (ROOT / TARGET).read_text() == render(), "run make lists"


def statuses() -> dict[str, str]:
    """What `shared/statuses.js` says of each status."""
    text = (PAGES / "shared/statuses.js").read_text()
    table = text.partition("const STATUSES = {\n")[2].partition("\n};")[0]
    return dict(re.findall(r"^  (\w+): \{\n(.*?)\n  \},?$", table, re.MULTILINE | re.DOTALL))


def test_the_pages_know_the_statuses_that_there_are() -> None:
    assert set(statuses()) == set(STATUSES)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("part", ["text", "line"])
def test_a_status_has_its_texts_in_both_languages(status: str, part: str) -> None:
    assert re.search(rf"^    {part}: {_BOTH}", statuses()[status], re.MULTILINE)


def steps_of(status: str) -> list[str]:
    found = re.search(r"^    next: \[(.*?)\]", statuses()[status], re.MULTILINE)
    assert found is not None
    return re.findall(r'"(\w+)"', found[1])


@pytest.mark.parametrize("status", STATUSES)
def test_the_terminal_offers_only_steps_that_core_takes(status: OrderStatus) -> None:
    assert set(steps_of(status)) <= set(NEXT[status])


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_that_the_terminal_offers_has_a_button_in_both_languages(status: str) -> None:
    offered = {step for one in STATUSES for step in steps_of(one)}
    has_button = bool(re.search(rf"^    button: {_BOTH}", statuses()[status], re.MULTILINE))
    assert has_button == (status in offered)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_stands_in_a_column_and_a_closed_one_in_the_last(status: str) -> None:
    found = re.search(r'^    column: "(\w+)"', statuses()[status], re.MULTILINE)
    assert found is not None
    assert found[1] in COLUMNS
    assert status not in CLOSED_STATUSES or found[1] == "done"


@pytest.mark.parametrize("state", sorted({*get_args(JobState)} - {"done"}))
def test_a_ticket_that_is_not_on_paper_has_its_text_in_both_languages(state: str) -> None:
    texts = (PAGES / "terminal/printing/texts.js").read_text()
    assert re.search(rf"^  ticket_{state}: {_BOTH}", texts, re.MULTILINE)


def test_no_other_script_of_the_pages_lists_statuses() -> None:
    for path in PAGES.rglob("*.js"):
        if path != PAGES / "shared/statuses.js":
            for listed in re.findall(r"\[[^\[\]]*\]", path.read_text()):
                named = {status for status in STATUSES if f'"{status}"' in listed}
                assert len(named) < 2, f"{path}: {listed}"


@pytest.mark.parametrize(
    "name",
    [f"mode_{mode}" for mode in get_args(DeviceMode)]
    + [f"verdict_{effect}" for effect in get_args(Effect)]
    + [f"alert_{cause}" for cause in get_args(Cause)]
    + ["alert_down_last", "alert_not-ready_last"]
    + [f"state_{state}" for state in get_args(ProcessState)]
    + [f"kind_{kind}" for kind in (*get_args(ProcessKind), *KINDS)],
)
def test_the_ops_page_has_a_text_for_all_that_core_may_tell_it_in_both_languages(
    name: str,
) -> None:
    texts = (PAGES / "ops/texts.js").read_text()
    assert re.search(rf'^  "?{name}"?: {_BOTH}', texts, re.MULTILINE)
