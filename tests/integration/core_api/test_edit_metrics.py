"""What is counted of edits: outcomes, refusals by problem, lost races, and who was overtaken."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits.metrics import EditMetrics
from core_api.edits.service import MAX_ATTEMPTS, EditService
from core_api.errors import ConflictError
from core_api.postgres.pool import Pool

OWNER = Caller("owner-12", "owner", frozenset({"12"}))


class Overtaken:
    """A pool on which somebody else is first, so many times, after the document was read."""

    def __init__(self, pool: Pool, times: int) -> None:
        self.pool = pool
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)

    async def fetch(self, query: str, *args: object) -> Any:
        rows = await self.pool.fetch(query, *args)
        if "0 AS kind" in query and self.times:
            self.times -= 1
            await self.pool.execute("UPDATE documents SET version = version + 1")
        return rows


def edit(n: int, value: Any, base: int | None = 0) -> Edit:
    return Edit(n=n, channel="public:12", key="waiting-time", do=Set({"value": value}), base=base)


def service(pool: Any) -> tuple[EditService, CollectorRegistry]:
    registry = CollectorRegistry()
    edits = EditService(
        pool, Definitions(DEFINITIONS), 4, lambda _: None, lambda _c, _k: False, 1,
        EditMetrics(registry),
    )  # fmt: skip
    return edits, registry


def count(registry: CollectorRegistry, name: str, **labels: str) -> float:
    value = registry.get_sample_value(f"yabam_core_{name}", labels)
    assert value is not None, name
    return value


async def test_each_edit_is_counted_by_what_became_of_it(writing: Pool) -> None:
    edits, registry = service(writing)
    batch = EditBatch("c1", [edit(1, 5), edit(2, "soon", 1), edit(3, 6, None)])
    for _ in range(2):
        await edits.apply(OWNER, batch)
    told = {
        name: count(registry, "edits_total", outcome=name)
        for name in ("applied", "settled", "put-aside", "refused", "repeated")
    }
    assert told == {"applied": 1, "settled": 0, "put-aside": 1, "refused": 1, "repeated": 3}
    assert count(registry, "refused_edits_total", problem="invalid") == 1
    assert count(registry, "settle_seconds_count") == 2
    assert count(registry, "edit_races_total") == 0


async def test_each_lost_race_is_counted(writing: Pool) -> None:
    first, _ = service(writing)
    await first.apply(OWNER, EditBatch("c1", [edit(1, 5)]))
    edits, registry = service(Overtaken(writing, 2))
    await edits.apply(OWNER, EditBatch("c2", [edit(1, 6, 1)]))
    assert count(registry, "edit_races_total") == 2
    assert count(registry, "overtaken_requests_total") == 0


async def test_a_request_that_is_overtaken_for_good_is_counted(
    writing: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = service(writing)
    await first.apply(OWNER, EditBatch("c1", [edit(1, 5)]))
    # Without the lock, so that somebody can be first every time.
    monkeypatch.setattr("core_api.edits.service.RACES", MAX_ATTEMPTS)
    edits, registry = service(Overtaken(writing, 99))
    with pytest.raises(ConflictError):
        await edits.apply(OWNER, EditBatch("c2", [edit(1, 6, 1)]))
    assert count(registry, "overtaken_requests_total") == 1
    assert count(registry, "edit_races_total") == MAX_ATTEMPTS
