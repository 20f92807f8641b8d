"""Definitions, edits, and a document to settle edits on, for the tests of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from typing import Any, Final

from hypothesis import strategies as st

from client_sdk.contract.state.edit import Edit, OwnEdit
from client_sdk.contract.state.operations import (
    Add,
    Delete,
    Merge,
    Operation,
    Patch,
    PlainOperation,
    Set,
)
from core_api.documents.basis import OwnResult
from core_api.documents.definitions import Definition, StrategyName
from core_api.documents.kept_versions import Head, History
from core_api.documents.settling import Settlement, settle
from tests.unit.core_api.samples import NOW

STRATEGIES: Final[tuple[StrategyName, ...]] = ("last", "first", "merge", "sum", "ask")
"""The strategies that accept any operation."""


def definition(strategy: StrategyName = "merge", **more: Any) -> Definition:
    """The definition of a document that may contain anything."""
    declared: dict[str, Any] = {
        "key": "cart",
        "scopes": frozenset({"party"}),
        "schema": {"type": "object"},
        "strategy": strategy,
        "writers": frozenset({"table"}),
        "calls": {"tidy": lambda current, arguments: (current or {}) | {"tidy": arguments}},
    }
    return Definition(**declared | more)


ANY: Final = {strategy: definition(strategy) for strategy in STRATEGIES}


def at(seconds: float) -> datetime:
    """A time this many seconds after the day before `NOW`."""
    return NOW - timedelta(days=1) + timedelta(seconds=seconds)


def edit(do: Operation, base: int | OwnEdit | None = 0, n: int = 1, **more: Any) -> Edit:
    """An edit of the cart. Its time, if any, is in seconds as for `at`."""
    if isinstance(more.get("made_at"), int):
        more["made_at"] = at(more["made_at"])
    return Edit(n=n, channel="party:12/5", key="cart", do=do, base=base, **more)


@dataclass
class Store:
    """A document, its history, and each edit's outcome, as Core stores them between statements."""

    definition: Definition
    head: Head = field(default_factory=Head)
    history: History = field(default_factory=History)
    results: dict[tuple[str, int], OwnResult | None] = field(default_factory=dict)
    diffs: list[list[dict[str, Any]]] = field(default_factory=list)

    def settle(self, *edits: tuple[str, Edit], now: datetime = NOW) -> list[Settlement]:
        """Settle these in order. Each sees the results of those before it."""
        settled = []
        for client, one in edits:
            results = partial(self._result_of, client)
            done = settle(one, self.head, self.history, self.definition, now, results)
            self.results[client, one.n] = done.result
            if done.made is not None:
                self.head = done.head
                self.history.add(done.made.kept)
                self.diffs.append(done.made.diff)
            settled.append(done)
        return settled

    def one(self, change: Edit, client: str = "a", now: datetime = NOW) -> Settlement:
        """Settle one edit."""
        return self.settle((client, change), now=now)[0]

    def _result_of(self, client: str, n: int) -> OwnResult | None:
        return self.results.get((client, n))


def store(strategy: StrategyName, *values: dict[str, Any] | None, step: int = 10) -> Store:
    """A document that had these values in turn, each `step` seconds after the one before."""
    made = Store(ANY[strategy])
    for version, value in enumerate(values):
        do = Delete() if value is None else Set(value)
        made.one(edit(do, version, version + 1, made_at=step * (version + 1)), "first")
    return made


names = st.sampled_from(["a", "b", "c"])
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.just("x")
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(scalars, max_size=2),
    max_leaves=6,
)
documents: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, values, max_size=3)
flat: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, scalars, max_size=3)
counters: st.SearchStrategy[dict[str, int]] = st.dictionaries(names, st.integers(-9, 9))
pointers = st.sampled_from(["/a", "/b", "/a/b", "/c/a", "/b/0"])
patches: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(lambda path, value: {"op": "add", "path": path, "value": value}, pointers, values)
    | st.builds(lambda path: {"op": "remove", "path": path}, pointers),
    min_size=1,
    max_size=3,
)
operations: st.SearchStrategy[PlainOperation] = (
    st.builds(Set, documents)
    | st.builds(Merge, documents)
    | st.builds(lambda steps: Patch(list(steps)), patches)
    | st.builds(Add, st.dictionaries(pointers, st.integers(-3, 3), min_size=1, max_size=2))
    | st.just(Delete())
)
times = st.none() | st.integers(0, 100)
_clients = st.sampled_from("abc")


@cache
def _bases(place: int, n: int) -> st.SearchStrategy[int | OwnEdit | None]:
    """What a client's edit `n` can be based on. A new strategy costs more than a draw from it."""
    bases: st.SearchStrategy[int | OwnEdit | None] = st.integers(0, place) | st.none()
    return bases | st.builds(OwnEdit, st.integers(1, n - 1)) if n > 1 else bases


@st.composite
def traffic(draw: st.DrawFn, limit: int = 8) -> list[tuple[str, Edit]]:
    """Edits of three clients, based on versions, on their own edits, or on nothing."""
    counts = {"a": 0, "b": 0, "c": 0}
    edits: list[tuple[str, Edit]] = []
    for place in range(draw(st.integers(1, limit))):
        client = draw(_clients)
        counts[client] += 1
        n = counts[client]
        base = draw(_bases(place, n))
        edits.append((client, edit(draw(operations), base, n, made_at=draw(times))))
    return edits


def in_groups(edits: Sequence[Any], cuts: Sequence[int]) -> list[Sequence[Any]]:
    """The edits in consecutive groups, split at these places."""
    places = [0, *sorted({cut % (len(edits) + 1) for cut in cuts}), len(edits)]
    return [edits[start:end] for start, end in pairwise(places) if start < end]
