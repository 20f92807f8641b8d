"""Gathered queries: one in flight, the next carries all who came meanwhile, none harms another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_api.errors import UnreadableRowError
from core_api.postgres.query_batching import QueryBatcher


class Database:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.in_flight = 0
        self.answers: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async def run(self, questions: Sequence[str]) -> tuple[int, list[str]]:
        self.in_flight += 1
        assert self.in_flight == 1
        self.batches.append(list(questions))
        try:
            error = await self.answers.get()
            if error is not None:
                raise error
            return len(self.batches), [f"{question}!" for question in questions]
        finally:
            self.in_flight -= 1

    def answer(self, error: BaseException | None = None) -> None:
        self.answers.put_nowait(error)


def batcher(
    database: Database,
    limit: int = 100,
    identities: Callable[[str], Iterable[object]] = lambda _question: (),
) -> QueryBatcher[str, int, str]:
    return QueryBatcher(database.run, limit, identities)


async def asked(
    queries: QueryBatcher[str, int, str], *questions: str
) -> asyncio.Task[tuple[int, list[str]]]:
    """A caller, once its question has been taken."""
    task = asyncio.create_task(queries.ask(questions))
    await settled()
    return task


async def settled() -> None:
    """Let everything run that can run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_question_goes_out_at_once() -> None:
    database = Database()
    task = await asked(batcher(database), "a")
    assert database.batches == [["a"]]
    database.answer()
    assert await task == (1, ["a!"])


async def test_questions_that_come_meanwhile_go_out_together_as_the_next() -> None:
    database = Database()
    queries = batcher(database)
    first = await asked(queries, "a")
    later = [await asked(queries, question) for question in "bcd"]
    assert database.batches == [["a"]]
    database.answer()
    await first
    await settled()
    assert database.batches == [["a"], ["b", "c", "d"]]
    database.answer()
    assert [await task for task in later] == [(2, ["b!"]), (2, ["c!"]), (2, ["d!"])]


async def test_each_caller_gets_its_own_answers_in_its_own_order() -> None:
    database = Database()
    queries = batcher(database)
    tasks = [
        await asked(queries, "x"),
        await asked(queries, "a", "b", "c"),
        await asked(queries),
        await asked(queries, "d"),
    ]
    database.answer()
    database.answer()
    assert [(await task)[1] for task in tasks] == [["x!"], ["a!", "b!", "c!"], [], ["d!"]]


async def test_a_query_carries_no_more_than_it_may_and_never_splits_a_caller() -> None:
    database = Database()
    queries = batcher(database, limit=3)
    tasks = [await asked(queries, "x")]
    tasks += [await asked(queries, *questions) for questions in ("ab", "cd", "e", "fghij", "k")]
    for _ in range(5):
        database.answer()
    for task in tasks:
        await task
    assert database.batches == [["x"], ["a", "b"], ["c", "d", "e"], [*"fghij"], ["k"]]


async def test_an_error_reaches_all_of_its_query_and_none_of_the_next() -> None:
    database = Database()
    queries = batcher(database)
    tasks = [await asked(queries, "x"), await asked(queries, "a"), await asked(queries, "b")]
    database.answer()
    await tasks[0]
    await settled()
    after = await asked(queries, "c")
    database.answer(RuntimeError("the database is gone"))
    for task in tasks[1:]:
        with pytest.raises(RuntimeError, match="gone"):
            await task
    database.answer()
    assert await after == (3, ["c!"])


async def test_a_caller_that_goes_away_while_it_waits_is_not_asked_for() -> None:
    database = Database()
    queries = batcher(database)
    first, gone, stays = [await asked(queries, question) for question in "abc"]
    gone.cancel()
    database.answer()
    await first
    await settled()
    assert database.batches == [["a"], ["c"]]
    database.answer()
    assert await stays == (2, ["c!"])
    assert gone.cancelled()


async def test_a_caller_that_goes_away_in_flight_harms_nobody() -> None:
    database = Database()
    queries = batcher(database)
    first, gone, stays = [await asked(queries, question) for question in "abc"]
    database.answer()
    await first
    await settled()
    gone.cancel()
    await settled()
    database.answer()
    assert await stays == (2, ["c!"])
    lone = await asked(queries, "d")
    lone.cancel()
    database.answer()
    await settled()
    next_one = await asked(queries, "e")
    database.answer()
    assert (await next_one)[1] == ["e!"]


async def test_an_error_in_flight_of_a_caller_that_went_away_is_nobodys() -> None:
    database = Database()
    queries = batcher(database)
    gone = await asked(queries, "a")
    gone.cancel()
    database.answer(RuntimeError("nobody hears this"))
    await settled()
    after = await asked(queries, "b")
    database.answer()
    assert (await after)[1] == ["b!"]


async def test_a_query_that_a_library_cancels_is_an_error_and_the_next_goes_out() -> None:
    database = Database()
    queries = batcher(database)
    first, second = await asked(queries, "a"), await asked(queries, "b")
    database.answer(asyncio.CancelledError())
    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError, match="cancelled"):
            await first
        database.answer()
        assert (await second)[1] == ["b!"]


async def test_all_callers_of_the_next_query_may_go_away() -> None:
    database = Database()
    queries = batcher(database)
    first, *gone = [await asked(queries, question) for question in "abc"]
    for task in gone:
        task.cancel()
    database.answer()
    await first
    await settled()
    assert database.batches == [["a"]]
    after = await asked(queries, "d")
    database.answer()
    assert (await after)[1] == ["d!"]


async def test_what_shares_an_identity_waits_for_the_next_query() -> None:
    database = Database()
    queries = batcher(database, identities=lambda question: [question[0]])
    tasks = [await asked(queries, question) for question in ("x1", "a1", "b1", "a2", "c1", "a3")]
    for _ in range(4):
        database.answer()
    for task in tasks:
        await task
    assert database.batches == [["x1"], ["a1", "b1", "c1"], ["a2"], ["a3"]]


async def test_what_is_held_back_is_not_overtaken_by_what_it_would_share() -> None:
    database = Database()
    queries = batcher(database, identities=lambda question: list(question))
    # ab is held back by a; b could go with a, but came after ab.
    tasks = [await asked(queries, question) for question in ("x", "a", "ab", "b", "c")]
    for _ in range(4):
        database.answer()
    for task in tasks:
        await task
    assert database.batches == [["x"], ["a", "c"], ["ab"], ["b"]]


@given(
    st.lists(st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=1), max_size=15),
    st.integers(1, 4),
)
def test_every_question_is_asked_once_and_those_that_share_stay_in_order(
    calls: list[list[str]], limit: int
) -> None:
    async def scenario() -> None:
        database = Database()
        named = [[f"{question}{n}" for question in call] for n, call in enumerate(calls)]
        queries = batcher(database, limit, lambda question: set(question) & set("abc"))
        for _ in calls:
            database.answer()
        results = await asyncio.gather(*(queries.ask(call) for call in named))
        assert [answers for _, answers in results] == [[f"{q}!" for q in call] for call in named]
        order = {q: n for n, batch in enumerate(database.batches) for q in batch}
        assert sorted(order) == sorted(question for call in named for question in call)
        assert all(len(batch) <= max(limit, 1) for batch in database.batches)
        flat = [question for call in named for question in call]
        for place, later in enumerate(flat):
            for earlier in flat[:place]:
                if set(earlier) & set(later) & set("abc"):
                    assert order[earlier] < order[later]

    asyncio.run(scenario())


async def test_a_caller_past_its_deadline_leaves_and_the_query_goes_on_for_the_others() -> None:
    release = asyncio.Event()

    async def run(questions: Sequence[int]) -> tuple[str, list[int]]:
        await release.wait()
        return "common", [question * 2 for question in questions]

    batcher: QueryBatcher[int, str, int] = QueryBatcher(run, 10)
    now = asyncio.get_running_loop().time()
    patient = asyncio.create_task(batcher.ask([1], now + 60))
    hasty = asyncio.create_task(batcher.ask([2], now))
    with pytest.raises(TimeoutError):
        await hasty
    release.set()
    assert await patient == ("common", [2])


class Slow:
    """Never answers by itself; tells which queries were cancelled."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.cancelled: list[list[str]] = []
        self.go_on = asyncio.Event()

    async def run(self, questions: Sequence[str]) -> tuple[int, list[str]]:
        self.begun.append(list(questions))
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(list(questions))
            raise
        return len(self.begun), [f"{question}!" for question in questions]


async def test_a_query_that_nobody_waits_for_any_more_is_cancelled_and_the_next_goes_out() -> None:
    slow = Slow()
    queries: QueryBatcher[str, int, str] = QueryBatcher(slow.run, 100, abandons=True)
    first = await asked(queries, "a")
    soon = asyncio.get_running_loop().time() + 0.01
    second = asyncio.create_task(queries.ask(["b"], soon))
    third = await asked(queries, "c")
    first.cancel()
    await settled()
    assert (slow.cancelled, slow.begun[1:]) == ([["a"]], [["b", "c"]])
    with pytest.raises(TimeoutError):
        await second
    assert slow.cancelled == [["a"]], "there is still one who waits for the second"
    fourth = await asked(queries, "d")
    third.cancel()
    await settled()
    assert slow.cancelled == [["a"], ["b", "c"]]
    slow.go_on.set()
    assert await fourth == (3, ["d!"])
    assert await queries.ask(["e"]) == (4, ["e!"]), "it works as before"


async def test_a_query_past_the_deadline_of_all_its_callers_is_cancelled() -> None:
    slow = Slow()
    queries: QueryBatcher[str, int, str] = QueryBatcher(slow.run, 100, abandons=True)
    with pytest.raises(TimeoutError):
        await queries.ask(["a"], asyncio.get_running_loop().time() + 0.01)
    await settled()
    assert slow.cancelled == [["a"]]


async def test_a_query_that_writes_goes_on_without_its_callers() -> None:
    slow = Slow()
    queries: QueryBatcher[str, int, str] = QueryBatcher(slow.run, 100)
    (await asked(queries, "a")).cancel()
    await settled()
    assert slow.cancelled == []
    slow.go_on.set()
    assert await queries.ask(["b"]) == (2, ["b!"])


class Damaged:
    """A database that cannot give some rows."""

    def __init__(self, *damaged: str) -> None:
        self.damaged = set(damaged)
        self.batches: list[int] = []

    async def run(self, questions: Sequence[str]) -> tuple[int, list[str]]:
        await asyncio.sleep(0)
        self.batches.append(len(questions))
        if not self.damaged.isdisjoint(questions):
            raise UnreadableRowError("a value is damaged")
        return 0, [f"{question}!" for question in questions]


async def test_what_cannot_be_given_fails_only_for_whoever_asks_for_it() -> None:
    database = Damaged("b", "q")
    queries: QueryBatcher[str, int, str] = QueryBatcher(database.run, 100, isolates=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    answers = await asyncio.gather(
        *(queries.ask([letter]) for letter in letters), return_exceptions=True
    )
    failed = [x for x, one in zip(letters, answers, strict=True) if isinstance(one, Exception)]
    assert failed == ["b", "q"]
    assert [one[1] for one in answers if not isinstance(one, BaseException)] == [
        [f"{x}!"] for x in letters if x not in "bq"
    ]
    assert len(database.batches) < 25, "it is searched for by halves"


async def test_a_caller_s_questions_stay_together_and_one_who_has_gone_is_not_asked_for() -> None:
    database = Damaged("b")
    queries: QueryBatcher[str, int, str] = QueryBatcher(database.run, 100, isolates=True)
    loop = asyncio.get_running_loop()
    first = asyncio.create_task(queries.ask(["x"]))
    fine = asyncio.create_task(queries.ask(["a", "c", "d"]))
    gone = asyncio.create_task(queries.ask(["b"], loop.time()))
    assert await first == (0, ["x!"])
    assert await fine == (0, ["a!", "c!", "d!"])
    with pytest.raises((TimeoutError, UnreadableRowError)):
        await gone


async def test_a_query_that_may_not_be_done_twice_fails_for_all() -> None:
    database = Damaged("b")
    queries: QueryBatcher[str, int, str] = QueryBatcher(database.run, 100)
    answers = await asyncio.gather(*(queries.ask([x]) for x in "xabc"), return_exceptions=True)
    assert [isinstance(one, UnreadableRowError) for one in answers[1:]] == [True] * 3
