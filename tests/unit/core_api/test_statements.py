"""What the statements hold of the contract: SQL cannot import it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

import core_api
from client_sdk.contract.order import CLOSED_STATUSES

CORE: Final = Path(core_api.__file__).parent
SCHEMA: Final = CORE.parent / "docs/schema.md"
_CLOSED: Final = re.compile(r"status NOT IN \(([^)]*)\)")
# A migration says what was true when it was written.
MODULES: Final = [path for path in CORE.rglob("*.py") if "versions" not in path.parts]
NAMING: Final = [path for path in MODULES if _CLOSED.search(path.read_text())]


@pytest.mark.parametrize("path", NAMING, ids=lambda path: str(path.relative_to(CORE)))
def test_a_statement_names_exactly_the_closed_statuses(path: Path) -> None:
    for found in _CLOSED.findall(path.read_text()):
        assert set(re.findall(r"'(\w+)'", found)) == CLOSED_STATUSES


def test_the_indexes_of_open_orders_leave_out_exactly_the_closed_statuses() -> None:
    left_out = re.findall(r"status <> ALL \(ARRAY\[([^]]*)\]\)", SCHEMA.read_text())
    assert len(left_out) == 2
    for found in left_out:
        assert set(re.findall(r"'(\w+)'", found)) == CLOSED_STATUSES
