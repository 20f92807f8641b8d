"""However edits are put together into statements, each has the same outcome, and Core the same log.

The planner is the real one; what it writes is kept by the simulation's Core, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract.state.edit import Edit, EditBatch, OwnEdit
from client_sdk.contract.state.operations import Add, Call, Merge, Operation, Set
from core_api.access.callers import Caller
from core_api.edits.plan import EditAnswer
from core_api.errors import CoreError
from tests.simulation.documents.core import DocumentCore
from tests.simulation.documents.definitions import PLACES, STORE, STRATEGY_OF
from tests.unit.core_api.documents.samples import at, flat, operations
from tests.unit.core_api.samples import NOW

Request = tuple[str, list[Edit], bool]
"""The client, its edits, and whether all of them take effect or none."""

CALLERS = {name: Caller(name, "owner", frozenset({STORE})) for name in ("a", "b", "c")}
COUNTS = st.dictionaries(st.sampled_from("abc"), st.integers(-3, 3), min_size=1)


def _operation(draw: st.DrawFn, key: str, mark: str) -> Operation:
    if STRATEGY_OF[key] == "call":
        return Call("ring", {"mark": mark})
    if STRATEGY_OF[key] == "sum":
        counts = draw(COUNTS)
        added = Add({f"/{name}": n for name, n in counts.items()})
        return added if draw(st.booleans()) else Set(counts)
    return draw(operations | st.builds(Merge, flat) | st.builds(Set, flat))


@st.composite
def some_requests(draw: st.DrawFn) -> list[Request]:
    """Requests of three clients, in turn, on versions, on own edits and on none."""
    counts = dict.fromkeys(CALLERS, 0)
    made: list[Request] = []
    for _ in range(draw(st.integers(1, 6))):
        client = draw(st.sampled_from(sorted(CALLERS)))
        edits = []
        for _ in range(draw(st.integers(1, 4))):
            counts[client] += 1
            n = counts[client]
            channel, key = draw(st.sampled_from(PLACES[:4]))
            bases: st.SearchStrategy[int | OwnEdit | None] = st.integers(0, 6) | st.none()
            if n > 1:
                bases |= st.builds(OwnEdit, st.integers(1, n - 1))
            edits.append(
                Edit(
                    n=n, channel=channel, key=key, do=_operation(draw, key, f"{client}{n}"),
                    base=draw(bases), made_at=draw(st.none() | st.integers(0, 100).map(at)),
                    metadata={"mark": f"{client}{n}"},
                )
            )  # fmt: skip
        made.append((client, edits, draw(st.integers(0, 4)) == 0))
    return made


def settled(groups: Sequence[Sequence[Request]]) -> tuple[Any, ...]:
    """What becomes of the requests if each group is settled by one statement."""
    core = DocumentCore(Random(0))
    outcomes: list[Any] = []

    def reply(answer: EditAnswer | CoreError) -> None:
        assert isinstance(answer, EditAnswer), answer
        outcomes.extend(msgspec.to_builtins(one) for one in answer.outcomes)

    for group in groups:
        for client, edits, atomic in group:
            core.post(CALLERS[client], EditBatch(client, list(edits), atomic), reply)
        core.settle(NOW.timestamp())
    truth = core.truth
    return outcomes, truth.heads, truth.kept, truth.past, truth.logs


def _together(requests: Sequence[Request]) -> list[list[Request]]:
    """As few groups as there may be: no two requests of one client are settled together."""
    groups: list[list[Request]] = [[]]
    for one in requests:
        if one[0] in {client for client, *_ in groups[-1]}:
            groups.append([])
        groups[-1].append(one)
    return groups


def _apart(requests: Sequence[Request]) -> list[list[Request]]:
    """Each edit by itself; those of an atomic request stay together."""
    return [
        [(client, part, atomic)]
        for client, edits, atomic in requests
        for part in ([edits] if atomic else [[edit] for edit in edits])
    ]


@settings(deadline=None)
@given(requests=some_requests())
def test_the_result_does_not_depend_on_how_edits_were_batched(requests: list[Request]) -> None:
    assert settled(_together(requests)) == settled(_apart(requests))
