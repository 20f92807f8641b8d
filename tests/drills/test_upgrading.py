"""The upgrade drill's orders and its proof; the drill itself is `make upgrade-drill`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.proof import Fact, Standing
from tests.drills.upgrading.old_clients import judge_channel
from tests.drills.upgrading.orders import DOCUMENTED, all_orders, covering_orders

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
NAMES = {"event servers": "events", "relay": "relay", "ingest": "ingest", "core": "core"}

BEGUN: dict[str, Any] = {
    "channel": "store:1", "reset": "first_sync", "head": 4, "orders": [["a", 1, "placed"]]
}  # fmt: skip
LOG = [Fact(5, "a", 2), Fact(6, "b", 1)]
OPEN = {"b": Standing(1, "placed")}


def event(seq: int, order: str, version: int, status: str) -> dict[str, Any]:
    return {
        "channel": "store:1", "seq": seq, "order": order, "version": version, "status": status
    }  # fmt: skip


GIVEN = [BEGUN, event(5, "a", 2, "paid"), event(6, "b", 1, "placed")]


def test_a_client_that_was_given_the_whole_log_is_judged_clean() -> None:
    of_others = {"channel": "store:2", "reset": "epoch", "head": 9, "orders": []}
    assert judge_channel("store:1", [*GIVEN, of_others], LOG, OPEN).clean


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([BEGUN, GIVEN[2]], (2, 0, 0)),
        ([*GIVEN, GIVEN[2]], (0, 1, 0)),
        ([BEGUN, GIVEN[2], GIVEN[1]], (0, 0, 1)),
        ([*GIVEN, BEGUN | {"reset": "epoch"}], (1, 0, 0)),
        ([], (1, 0, 0)),
    ],
    ids=["lost", "doubled", "out-of-order", "begun-anew", "never-begun"],
)
def test_what_a_client_was_not_given_as_the_log_has_it_is_found(
    lines: list[dict[str, Any]], found: tuple[int, int, int]
) -> None:
    verdict = judge_channel("store:1", lines, LOG, OPEN)
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == found


def test_the_order_that_is_tested_is_the_one_of_the_documentation() -> None:
    section = DOCUMENT.read_text().partition("## Upgrades\n")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d\. (.*)", section, re.MULTILINE)
    assert "migration" in steps[0]
    named = [
        NAMES[found.group().lower()]
        for step in steps[1:]
        for found in re.finditer("|".join(NAMES), step.partition(":")[0], re.IGNORECASE)
    ]
    assert tuple(named[:4]) == DOCUMENTED


def test_few_orders_meet_every_mixture_of_old_and_new_kinds() -> None:
    orders = covering_orders()
    mixtures = {frozenset(order[:count]) for order in orders for count in range(1, 4)}
    assert len(mixtures) == 14
    assert len(orders) == 6
    assert orders[0] == DOCUMENTED


def test_all_orders_begin_with_that_of_the_documentation() -> None:
    assert len(set(all_orders())) == 24
    assert all_orders()[0] == DOCUMENTED
