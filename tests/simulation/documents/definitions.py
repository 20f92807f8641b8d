"""The documents of the simulation: one for each strategy, and one that only owners may write."""

from __future__ import annotations

from typing import Any, Final

from client_sdk.contract.state.values import Value
from core_api.documents.definitions import Definition, Definitions, StrategyName

STORE: Final = "1"
PUBLIC: Final = f"public:{STORE}"
PARTY: Final = f"party:{STORE}/1"
CHANNELS: Final = (PUBLIC, PARTY)
ANYBODY: Final = frozenset({"owner", "table"})
MAX_AGE_S: Final = 60
"""Older edits of `minutes` are refused; some devices are offline for longer than this."""


def ring(current: Value | None, arguments: Any) -> Value:
    """The operator's function of the bell: count one ring, and add its mark."""
    before = current or {"rung": 0}
    return before | {"rung": before["rung"] + 1, arguments["mark"]: 1}


def _definition(
    key: str,
    scope: str,
    strategy: StrategyName,
    writers: frozenset[str] = ANYBODY,
    max_age_s: int = 3600,
) -> Definition:
    return Definition(
        key=key,
        scopes=frozenset({scope}),
        schema={"type": "object"},
        strategy=strategy,
        writers=writers,
        max_age_s=max_age_s,
        calls={"ring": ring} if strategy == "call" else {},
    )


ALL: Final = (
    _definition("cart", "party", "merge"),
    _definition("tally", "party", "sum"),
    _definition("bell", "party", "call"),
    _definition("seat", "party", "first"),
    _definition("sold-out", "public", "merge", frozenset({"owner"})),
    _definition("minutes", "public", "last", max_age_s=MAX_AGE_S),
    _definition("menu", "public", "ask"),
)
DEFINITIONS: Final = Definitions(ALL)
STRATEGY_OF: Final = {definition.key: definition.strategy for definition in ALL}
PLACES: Final = tuple((PARTY if "party" in one.scopes else PUBLIC, one.key) for one in ALL)
