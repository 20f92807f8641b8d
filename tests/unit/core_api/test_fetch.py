"""Large answers of Fetch Sync: in their subject's turn, counted against its share, and bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from asyncpg import BitString

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller
from core_api.errors import BadRequestError
from core_api.overload import Bound, PollingPace
from core_api.sync import reading as reads
from core_api.sync import snapshot_reading
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.request import SyncRequest
from core_api.sync.service import FetchSync
from tests.unit.core_api.samples import GRANTS

HEAD = 5
ORDERS = 4
TEXT = "x" * 1000
BODY = f'"data":"{"x" * 990}"}}'
OWNER = Caller("o", "owner", frozenset({"1"}))
CONTENT = BitString.from_int(0, 128)


class Database:
    """One channel of large events and of large orders: each read gives what its room permits."""

    async def fetch(self, statement: str, *columns: Sequence[Any]) -> list[list[Any]]:
        if statement == reads.PAGES:
            _, (after,), _, (room,) = columns
            seqs = [n for n in range(after + 1, HEAD + 1) if (n - after - 1) * 1000 < room]
            return [["e1", 1.5, HEAD, 7, 0, seqs, [BODY for _ in seqs], CONTENT]]
        after_id, (room,) = columns[4][0], columns[6]
        left = [
            UUID(int=n) for n in range(1, ORDERS + 1) if UUID(int=n) > (after_id or UUID(int=0))
        ]
        ids = [one for place, one in enumerate(left) if place * 1000 < room]
        return [["e1", 1.5, HEAD, 7, 0, ids, [f'"{TEXT}"' for _ in ids], len(left), [], CONTENT]]


class Turns(LargeAnswers):
    """Notes whose turn it was, and what was spent in it."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.log: list[tuple[str, int]] = []
        self.is_turn = False

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        async with super().turn(subject):
            self.is_turn = True
            yield
            self.is_turn = False

    def spent(self, subject: str, size: int) -> None:
        assert self.is_turn
        self.log.append((subject, size))


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    monkeypatch.setattr("core_api.sync.request.GATHERED_ANSWER_BYTES", 1500)
    return Turns()


def fetch_by(turns: Turns) -> FetchSync:
    database: Any = Database()
    unused: Any = None
    bound = Bound(10, "syncs", lambda low, _high: low)
    return FetchSync(
        database, LongPolls(unused, 0.1, 0), GRANTS, PollingPace(3000, lambda: 0.0),
        bound, 5.0, lambda _reason: None, lambda _channel: None, turns,
    )  # fmt: skip


def asked(after: int | None, orders: int | None = None) -> SyncRequest:
    return SyncRequest({parse_channel("store:1"): after}, None, 500, 0.0, orders)


async def test_a_small_answer_waits_for_no_turn(turns: Turns) -> None:
    answered = await fetch_by(turns).answer(OWNER, asked(HEAD - 1))
    assert len(answered.channels[0].wire.events) == 1
    assert turns.log == []


async def test_a_page_that_is_larger_than_a_shared_read_is_read_in_its_subjects_turn(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SyncRequest.queries, "__defaults__", (1500,))
    answered = await fetch_by(turns).answer(OWNER, asked(0))
    assert len(answered.channels[0].wire.events) == HEAD
    assert turns.log == [("o", HEAD * 1000)]


@pytest.mark.parametrize("orders", [100, None], ids=["in pages", "whole"])
async def test_a_snapshot_that_is_larger_than_a_shared_read_is_read_in_its_subjects_turn(
    turns: Turns, orders: int | None
) -> None:
    answered = await fetch_by(turns).answer(OWNER, asked(None, orders))
    snapshot = answered.channels[0].wire.snapshot
    assert snapshot is not None
    assert len(snapshot.orders) == ORDERS
    assert [who for who, _ in turns.log] == ["o"]
    assert sum(size for _, size in turns.log) >= ORDERS * 1000


async def test_a_whole_snapshot_beyond_its_bound_is_refused_with_what_to_do(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_reading, "ANSWER_BYTES", 1500)
    monkeypatch.setattr(snapshot_reading, "WHOLE_ANSWER_BYTES", 3000)
    with pytest.raises(BadRequestError, match="parameter orders") as refused:
        await fetch_by(turns).answer(OWNER, asked(None))
    assert refused.value.slug == "too-large"
