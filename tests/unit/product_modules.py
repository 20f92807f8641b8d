"""The syntax trees of all modules of the product."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("client_sdk", "core_api", "deploy", "event_server", "server_common")


@cache
def parsed() -> Mapping[Path, ast.Module]:
    """All modules, parsed at the first call, since each worker of the tests imports this."""
    return {
        path.relative_to(ROOT): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "versions" not in path.parts
    }
