"""What the statements hold of the contract: SQL cannot import it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

import core_api
from client_sdk.contract.order import CLOSED_STATUSES

CORE: Final = Path(core_api.__file__).parent
_CLOSED: Final = re.compile(r"status NOT IN \(([^)]*)\)")
# A migration says what was true when it was written.
MODULES: Final = [path for path in CORE.rglob("*.py") if "versions" not in path.parts]
NAMING: Final = [path for path in MODULES if _CLOSED.search(path.read_text())]


@pytest.mark.parametrize("path", NAMING, ids=lambda path: str(path.relative_to(CORE)))
def test_a_statement_names_exactly_the_closed_statuses(path: Path) -> None:
    for found in _CLOSED.findall(path.read_text()):
        assert set(re.findall(r"'(\w+)'", found)) == CLOSED_STATUSES


def test_the_partial_indexes_are_among_what_is_looked_at() -> None:
    assert CORE / "postgres/tables/orders.py" in NAMING
