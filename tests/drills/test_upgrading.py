"""The upgrade drill's orders; the drill itself is `make upgrade-drill`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.drills.upgrading.orders import DOCUMENTED, all_orders, covering_orders

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
NAMES = {"event servers": "events", "relay": "relay", "ingest": "ingest", "core": "core"}


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
