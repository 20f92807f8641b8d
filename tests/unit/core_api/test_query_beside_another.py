"""A second query beside the one in flight: with nothing of the first, and nobody overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.postgres.query_batching import Beside, QueryBatcher


class Database:
    """Answers the oldest or the newest query when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.in_flight: list[tuple[list[str], asyncio.Future[None]]] = []

    async def run(self, questions: Sequence[str]) -> tuple[int, list[str]]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.batches.append(list(questions))
        for other, _ in self.in_flight:
            assert set("".join(other)).isdisjoint("".join(questions)), "they share a letter"
        self.in_flight.append((list(questions), done))
        assert len(self.in_flight) <= 2
        await done
        return 0, [f"{question}!" for question in questions]

    async def answer(self, place: int = 0) -> None:
        self.in_flight.pop(place)[1].set_result(None)
        await settled()


async def settled() -> None:
    """Let everything run that can run."""
    for _ in range(10):
        await asyncio.sleep(0)


def batcher(database: Database, waiting: int, limit: int = 100) -> QueryBatcher[str, int, str]:
    """What two queries may not share are the letters of their questions."""
    return QueryBatcher(
        database.run, limit, lambda question: question[:1], beside=Beside(waiting, list)
    )


async def asked(queries: QueryBatcher[str, int, str], question: str) -> asyncio.Task[None]:
    """A caller, once its question has been taken."""

    async def ask() -> None:
        assert await queries.ask([question]) == (0, [f"{question}!"])

    task = asyncio.create_task(ask())
    await settled()
    return task


async def finish(database: Database, tasks: Sequence[asyncio.Task[None]]) -> None:
    while database.in_flight:
        await database.answer()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)


async def test_a_second_query_goes_out_once_enough_wait() -> None:
    database = Database()
    queries = batcher(database, waiting=3)
    tasks = [await asked(queries, question) for question in "abc"]
    assert database.batches == [["a"]]
    tasks.append(await asked(queries, "d"))
    assert database.batches == [["a"], ["b", "c", "d"]]
    tasks += [await asked(queries, question) for question in "efghij"]
    assert len(database.batches) == 2, "a third never goes out"
    await finish(database, tasks)
    assert database.batches[2] == [*"efghij"]


async def test_what_shares_with_the_query_in_flight_waits_for_its_end() -> None:
    database = Database()
    queries = batcher(database, waiting=2)
    tasks = [await asked(queries, question) for question in ("xa", "ba", "c")]
    assert database.batches == [["xa"], ["c"]]
    await database.answer(1)
    assert database.batches == [["xa"], ["c"]], "it waits for the other one"
    await database.answer()
    assert database.batches == [["xa"], ["c"], ["ba"]]
    await finish(database, tasks)


async def test_those_who_wait_for_the_query_in_flight_keep_no_others_from_going_beside() -> None:
    database = Database()
    queries = batcher(database, waiting=2)
    tasks = [await asked(queries, question) for question in ("xa", "ba", "ca")]
    assert database.batches == [["xa"]], "both who wait share with it"
    tasks += [await asked(queries, question) for question in "de"]
    assert database.batches == [["xa"], ["d", "e"]]
    await finish(database, tasks)
    assert database.batches[2:] == [["ba", "ca"]]


async def test_what_waits_is_not_overtaken_by_what_shares_with_it() -> None:
    database = Database()
    queries = batcher(database, waiting=3)
    # ba waits for xa; cb would not, but came after ba.
    tasks = [await asked(queries, question) for question in ("xa", "ba", "cb", "d")]
    assert database.batches == [["xa"], ["d"]]
    await database.answer()
    await finish(database, tasks)
    assert database.batches[2:] == [["ba", "cb"]]


async def test_few_who_wait_go_out_together_when_the_last_query_has_ended() -> None:
    database = Database()
    queries = batcher(database, waiting=3)
    tasks = [await asked(queries, question) for question in "abcdefgh"]
    assert database.batches == [["a"], ["b", "c", "d"]]
    # Four wait: enough for one beside the other.
    await database.answer()
    assert database.batches[2:] == [["e", "f", "g", "h"]]
    tasks.append(await asked(queries, "i"))
    await database.answer()
    assert len(database.batches) == 3, "one waits, while another query is in flight"
    await database.answer()
    assert database.batches[3:] == [["i"]]
    await finish(database, tasks)


async def test_an_error_reaches_those_of_its_own_query_only() -> None:
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(questions: Sequence[str]) -> tuple[int, list[str]]:
        if "a" in questions:
            await failing
        return 0, [f"{question}!" for question in questions]

    queries: QueryBatcher[str, int, str] = QueryBatcher(run, 9, beside=Beside(1, list))
    first = asyncio.create_task(queries.ask(["a"]))
    await settled()
    assert await queries.ask(["b"]) == (0, ["b!"])
    failing.set_exception(RuntimeError("the database is gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await first
    assert await queries.ask(["c"]) == (0, ["c!"])


@given(
    st.lists(st.text("abcde", min_size=1, max_size=3), max_size=30),
    st.lists(st.integers(0, 1), max_size=40),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_each_is_asked_once_and_those_that_share_stay_in_order(
    questions: list[str], answers: list[int], waiting: int, limit: int
) -> None:
    async def scenario() -> None:
        database = Database()
        ended: list[int] = []
        queries: QueryBatcher[tuple[int, str], int, str] = QueryBatcher(
            lambda asked: database.run([question for _, question in asked]),
            limit,
            lambda one: one[1],
            beside=Beside(waiting, lambda one: one[1]),
        )

        async def ask(place: int) -> None:
            await queries.ask([(place, questions[place])])
            ended.append(place)

        tasks = [asyncio.create_task(ask(place)) for place in range(len(questions))]
        await settled()
        for newest in answers:
            if database.in_flight:
                await database.answer(-newest)
        await finish(database, tasks)
        assert sorted(ended) == list(range(len(questions)))
        for position, later in enumerate(ended):
            for earlier in ended[position + 1 :]:
                if earlier < later:
                    assert set(questions[earlier]).isdisjoint(questions[later])

    asyncio.run(scenario())
