"""What the ops page keeps in Postgres: a day of points by one Core, acknowledgements; contacts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from core_api.api.answers import json_answer
from core_api.api.handlers.ops_handlers import Day
from core_api.dashboard import day
from core_api.dashboard.acknowledgements import (
    acknowledge,
    read_acknowledgements,
    trim_acknowledgements,
)
from core_api.dashboard.alerts import Spells
from core_api.dashboard.day import (
    DAY_S,
    DayKeeper,
    charted_day,
    claim,
    read_day,
    store,
    trim_points,
)
from core_api.dashboard.figures import Round, RoundHistory
from core_api.dashboard.overview import read_overview
from core_api.dashboard.points import Point, stored_of, to_store
from core_api.dashboard.processes import ProcessKind, ProcessReading, Series
from core_api.dashboard.sampler import ReadRound
from core_api.dashboard.waiting import Contact
from core_api.postgres.pool import Pool
from server_common.limits import ANSWER_BYTES, OPS_CHARTED_BYTES, OPS_POINT_BYTES, OPS_POINTS

STREAMS = "yabam_events_streams_open_count"
EVENTS = "yabam_relay_published_events_total"


def a_round(at_s: float, streams: int, events: float = 0.0) -> Round:
    values: dict[str, Series] = {STREAMS: {(): float(streams)}, EVENTS: {(): events}}
    reading = ProcessReading("http://e:1", "events", "ready", "", values)
    return Round(at_s, round(at_s * 1000), [reading], None, "")


def a_point(streams: int) -> str:
    return to_store(RoundHistory(Spells()).figures(a_round(1.0, streams)), {})


async def streams_of(pool: Pool) -> list[int | None]:
    return [one.point.connections for one in await read_day(pool)]


async def aged(pool: Pool, table: str, by_s: float) -> None:
    await pool.execute(f"UPDATE {table} SET at = at - make_interval(secs => $1)", by_s)


class TestOneCoreAtATime:
    async def test_who_holds_the_lease_keeps_it(self, pool: Pool) -> None:
        assert await claim(pool, "a")
        assert not await claim(pool, "b")
        assert await claim(pool, "a")

    async def test_of_many_that_begin_at_once_one_gets_it(self, pool: Pool) -> None:
        got = await asyncio.gather(*(claim(pool, str(core)) for core in range(8)))
        assert got.count(True) == 1

    async def test_another_takes_over_when_it_has_run_out(self, pool: Pool) -> None:
        await claim(pool, "a")
        await pool.execute("UPDATE ops_sampling SET until = now() - interval '1 ms'")
        assert await claim(pool, "b")
        assert not await claim(pool, "a")

    async def test_who_has_lost_it_writes_nothing(self, pool: Pool) -> None:
        await claim(pool, "b")
        await store(pool, "a", a_point(1))
        assert await read_day(pool) == []
        await store(pool, "b", a_point(2))
        assert await streams_of(pool) == [2]


class TestTheKeeper:
    async def test_it_keeps_what_it_sees_with_a_rate_from_two_looks(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(day, "PERIOD_S", 0.0)
        rounds = iter([a_round(0.0, 3, 0.0), a_round(2.0, 4, 10.0), a_round(62.0, 5, 130.0)])
        kinds: dict[str, ProcessKind] = {"http://e:1": "events"}
        keeper = DayKeeper(pool, "a", looking_at(rounds), kinds)
        await keeper.keep()
        await keeper.keep()
        first, second = await read_day(pool)
        assert (first.point.connections, first.point.events_per_s) == (4, 5.0)
        assert (second.point.connections, second.point.events_per_s) == (5, 2.0)
        assert first.kinds == kinds

    async def test_a_core_without_the_lease_does_not_even_look(self, pool: Pool) -> None:
        await claim(pool, "b")
        await DayKeeper(pool, "a", looking_at(iter(())), {}).keep()
        assert await read_day(pool) == []


class PoolThatWeighs:
    """A pool that knows the most bytes that were read at once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.most = 0

    async def fetch(self, text: str, *values: Any) -> Any:
        rows = await self._pool.fetch(text, *values)
        self.most = max(self.most, sum(len(row["point"]) for row in rows))
        return rows


async def test_the_largest_day_is_read_in_parts_and_its_charts_are_one_answer(pool: Pool) -> None:
    lost = msgspec.structs.replace(
        stored_of([a_point(0)])[0],
        point=Point(2**53, 2**53, 0.1 + 0.2, 1e-300, -1e-300, 1 / 3, 2**53, 2**53),
    )
    room = OPS_POINT_BYTES - len(msgspec.json.encode(lost)) - 2
    largest = msgspec.json.encode(msgspec.structs.replace(lost, alerts=["x" * room]))
    assert len(largest) == OPS_POINT_BYTES
    await pool.execute(
        "INSERT INTO ops_points (at, point) SELECT now() - make_interval(mins => n), $1 "
        "FROM generate_series(0, 1438) n",
        largest.decode(),
    )
    weighed = PoolThatWeighs(pool)
    points = await charted_day(cast(Pool, weighed))
    assert len(points) == 1439
    assert weighed.most <= ANSWER_BYTES
    assert len(json_answer(Day(points)).body) <= OPS_POINTS * OPS_CHARTED_BYTES <= ANSWER_BYTES


async def test_the_parts_of_a_day_are_in_order(pool: Pool) -> None:
    await pool.executemany(
        "INSERT INTO ops_points (at, point) VALUES (now() - make_interval(mins => $1), $2)",
        [(200 - n, a_point(n)) for n in range(200)],
    )
    assert await streams_of(pool) == list(range(200))
    assert [one.connections for one in await charted_day(pool)] == list(range(200))


def looking_at(rounds: Iterator[Round]) -> Callable[[], AbstractAsyncContextManager[ReadRound]]:
    @asynccontextmanager
    async def looking() -> AsyncIterator[ReadRound]:
        async def look() -> Round:
            return next(rounds)

        yield look

    return looking


class TestTheDay:
    async def test_it_is_told_from_its_beginning_and_no_longer_than_a_day(self, pool: Pool) -> None:
        await claim(pool, "a")
        await store(pool, "a", a_point(1))
        await aged(pool, "ops_points", DAY_S - 60)
        await store(pool, "a", a_point(2))
        await aged(pool, "ops_points", 120)
        await store(pool, "a", a_point(3))
        assert await streams_of(pool) == [2, 3]
        assert await trim_points(pool, DAY_S, 10) == 1
        assert await pool.fetchval("SELECT count(*) FROM ops_points") == 2

    async def test_a_damaged_point_hides_no_other(self, pool: Pool) -> None:
        await claim(pool, "a")
        await store(pool, "a", "{")
        await store(pool, "a", a_point(2))
        assert await streams_of(pool) == [2]


class TestAcknowledgements:
    async def test_the_last_one_of_an_alert_counts(self, pool: Pool) -> None:
        await acknowledge(pool, "outbox", "kim", 0)
        await aged(pool, "ops_acknowledgements", 60)
        await acknowledge(pool, "database", "kim", 0)
        later = await acknowledge(pool, "outbox", "lee", round((time.time() - 30) * 1000))
        known = await read_acknowledgements(pool)
        assert {alert: one.by for alert, one in known.items()} == {
            "outbox": "lee",
            "database": "kim",
        }
        assert known["outbox"] == later

    async def test_of_two_at_once_the_first_counts(self, pool: Pool) -> None:
        seen_ms = round((time.time() - 30) * 1000)
        first = await acknowledge(pool, "outbox", "kim", seen_ms)
        assert await acknowledge(pool, "outbox", "lee", seen_ms) == first
        assert await read_acknowledgements(pool) == {"outbox": first}

    async def test_old_ones_go(self, pool: Pool) -> None:
        await acknowledge(pool, "outbox", "kim", 0)
        await aged(pool, "ops_acknowledgements", 31 * DAY_S)
        assert await read_acknowledgements(pool) == {}
        assert await trim_acknowledgements(pool, 30 * DAY_S, 10) == 1


class TestContacts:
    async def test_whom_to_phone_is_read_with_the_stores_that_are_late(self, pool: Pool) -> None:
        for store_id in ("1", "2", "3"):
            await late(pool, store_id)
        await says(pool, "1", '{"name":"Kim","phone":"02-555-0100"}')
        await says(pool, "2", '{"name":7}')
        overview = await read_overview(pool, 120.0, 50)
        assert {one.store_id: one.contact for one in overview.late} == {
            "1": Contact("Kim", "02-555-0100"),
            "2": None,
            "3": None,
        }


async def late(pool: Pool, store_id: str) -> None:
    await pool.execute(
        "INSERT INTO unreached (order_id, kind, store_id, placed_at)"
        " VALUES (gen_random_uuid(), 'unaccepted', $1, now())",
        store_id,
    )


async def says(pool: Pool, store_id: str, value: str) -> None:
    await pool.execute(
        "INSERT INTO documents (channel, key, version, value, facts, schema, made_at, updated_at)"
        " VALUES ('team:' || $1, 'contact', 1, $2, '{', 1, now(), now())",
        store_id,
        value,
    )
