"""Makes the clients' edits. Each puts its own mark into the document, so that it can be found."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.edit import Edit
from client_sdk.contract.state.operations import Add, Call, Delete, Merge, Operation, Patch, Set
from client_sdk.contract.state.values import Value
from client_sdk.state.entries import Wish
from core_api.edits.what_was_read import DocumentName
from tests.simulation.documents.definitions import STRATEGY_OF

_LARGE: Final = "x" * (MAX_SHOWN_VALUE_BYTES + 100)


def wish_for(place: DocumentName, mark: str, chance: Random, *, patches: bool) -> Wish:
    """An edit of this document with this mark; if `patches`, some are JSON patches."""
    is_patch = patches and int(mark[1:]) % 8 == 0
    do = _operation(STRATEGY_OF[place[1]], mark, chance, is_patch=is_patch)
    return Wish(*place, do, {"mark": mark})


def mark_of(edit: Edit) -> str:
    """The mark of the edit."""
    assert edit.metadata is not None
    return str(edit.metadata["mark"])


def holds(value: Value | None, mark: str) -> bool:
    """Whether the value contains the mark."""
    whole = value or {}
    return mark in whole or mark in whole.get("lines", {})


def _operation(strategy: str, mark: str, chance: Random, *, is_patch: bool) -> Operation:
    match strategy:
        case "merge" if is_patch:
            return Patch([{"op": "add", "path": f"/lines/{mark}", "value": {"n": 1}}])
        case "first" | "ask" | "last" if is_patch:
            return Patch([{"op": "replace", "path": "/value", "value": mark}])
        case "merge":
            patch: dict[str, Any] = {"lines": {mark: {"n": 1}}}
            if chance.random() < 0.2:
                patch["note"] = _LARGE if chance.random() < 0.1 else mark
            return Merge(patch)
        case "sum":
            return Add({f"/{mark}": 1, "/total": 1})
        case "call":
            return Call("ring", {"mark": mark})
        case "last" if chance.random() < 0.1:
            return Delete()
        case _:
            return Set({"value": mark})
