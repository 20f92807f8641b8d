"""Query batching: concurrent requests share one query, for reading as for writing.

One query is in flight; requests that come meanwhile wait for it and then go out together as the
next. An idle batcher adds no wait, a busy one costs the database one query per round trip however
many ask. Where a query takes long in both the database and this process, a second may run
concurrently, so that neither waits for the other (`Beside`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from core_api.errors import UnreadableRowError
from server_common.supervision import is_being_cancelled

Q = TypeVar("Q")
R = TypeVar("R")
C = TypeVar("C")
A_contra = TypeVar("A_contra", contravariant=True)


class Asker(Protocol[A_contra]):
    """The receiver of an answer: a future, or an object with the same methods."""

    def done(self) -> bool:
        """Whether it no longer waits."""

    def set_result(self, result: A_contra, /) -> None:
        """Take the answer."""

    def set_exception(self, exception: Exception, /) -> None:
        """Take the error."""


Asked: TypeAlias = tuple[Sequence[Q], Asker[tuple[C, list[R]]]]

_NOTHING: Final[Set[object]] = frozenset()
_MAX_IN_FLIGHT: Final = 2
"""One in the database and one in this process: a third would only make batches smaller."""


@dataclass(frozen=True, slots=True)
class Beside(Generic[Q]):
    """When a second query runs concurrently with the one in flight."""

    waiting: int
    """How many waiting callers start it: fewer cost less in one query, a moment later."""
    apart: Callable[[Q], Iterable[object]]
    """The keys that no two queries in flight may share; a question that shares one waits."""


class QueryBatcher(Generic[Q, C, R]):
    """Joins the questions of many callers into few queries.

    Args:
        run: answers questions, in their order, together with what is common to all answers.
        limit: how many questions one query may carry; one caller's stay together.
        identities: the keys that no two questions of one query may share; the later one waits for
            the next. None: there is no such key.
        abandons: whether a query in flight is cancelled once all its callers have gone; for reading
            only.
        weigh: how many questions a question counts as; None: each counts as one.
        isolates: whether a query that meets an unreadable row is repeated by halves, so that it
            fails only for the caller that needs this row; for reading only.
        beside: when a second query runs concurrently; None: never.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Awaitable[tuple[C, list[R]]]],
        limit: int,
        identities: Callable[[Q], Iterable[object]] | None = None,
        abandons: bool = False,
        weigh: Callable[[Q], int] | None = None,
        isolates: bool = False,
        beside: Beside[Q] | None = None,
    ) -> None:
        self._run = run
        self._limit = limit
        self._identities = identities
        self._waiting: deque[Asked[Q, C, R]] = deque()
        self._abandons = abandons
        self._weigh = weigh
        self._isolates = isolates
        self._beside = beside
        self._pumps: dict[asyncio.Task[None], list[Asked[Q, C, R]]] = {}

    async def ask(self, questions: Sequence[Q], deadline: float | None = None) -> tuple[C, list[R]]:
        """The common part and one answer per question; raises what `run` raises.

        `deadline` is a time of the running loop; a query that others share goes on.

        Raises:
            TimeoutError: there was no answer by the deadline.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[C, list[R]]] = loop.create_future()
        self.put(questions, future)
        # A timer on the future costs a fraction of asyncio.timeout, and this is the hottest path.
        timer = None if deadline is None else loop.call_at(deadline, _expire, future)
        try:
            return await future
        except (TimeoutError, asyncio.CancelledError):
            self.forsake()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def put(self, questions: Sequence[Q], asker: Asker[tuple[C, list[R]]]) -> None:
        """Ask without waiting: `asker` gets the answer, and must not raise."""
        self._waiting.append((questions, asker))
        if not self._pumps or self._is_time_for_another():
            self._pumps[asyncio.create_task(self._drain(), name="gather")] = []

    def forsake(self) -> None:
        """A caller has stopped waiting: cancel a query without callers, if that is permitted."""
        if not self._abandons:
            return
        for pump, batch in self._pumps.items():
            if batch and all(future.done() for _, future in batch):
                self._pumps[pump] = []
                pump.cancel()

    def _is_time_for_another(self) -> bool:
        # Not for each caller alone: the query in flight may delay all that wait.
        return (
            self._beside is not None
            and len(self._pumps) < _MAX_IN_FLIGHT
            and len(self._waiting) % self._beside.waiting == 0
        )

    async def _drain(self) -> None:
        pump = asyncio.current_task()
        assert pump is not None  # noqa: S101
        try:
            while self._waiting and (len(self._pumps) == 1 or self._are_enough()):
                batch = self._next_batch()
                if batch:
                    await self._answer(batch, pump)
                elif len(self._pumps) > 1:
                    break  # The other query takes the callers that wait for it.
        finally:
            del self._pumps[pump]

    def _are_enough(self) -> bool:
        return self._beside is not None and len(self._waiting) >= self._beside.waiting

    def _next_batch(self) -> list[Asked[Q, C, R]]:
        batch: list[Asked[Q, C, R]] = []
        held_back: list[Asked[Q, C, R]] = []
        taken: set[object] = set()
        in_flight = {
            name for other in self._pumps.values() for asked in other for name in self._apart(asked)
        }
        size = 0
        while self._waiting and (
            not batch or size + self._size(self._waiting[0][0]) <= self._limit
        ):
            questions, future = asked = self._waiting.popleft()
            if future.done():  # its caller has gone meanwhile
                continue
            wanted = self._wanted(questions)
            apart = self._apart(asked) if in_flight else ()
            if not taken.isdisjoint(wanted):
                held_back.append(asked)
            elif in_flight.isdisjoint(apart):
                batch.append(asked)
                size += self._size(questions)
            else:
                held_back.append(asked)
                in_flight.update(apart)
            # A question that must wait delays those after it, so that none is overtaken.
            taken |= wanted
        self._waiting.extendleft(reversed(held_back))
        return batch

    def _wanted(self, questions: Sequence[Q]) -> Set[object]:
        if self._identities is None:
            return _NOTHING
        return {identity for q in questions for identity in self._identities(q)}

    def _apart(self, asked: Asked[Q, C, R]) -> list[object]:
        if self._beside is None:
            return []
        return [name for question in asked[0] for name in self._beside.apart(question)]

    def _size(self, questions: Sequence[Q]) -> int:
        return len(questions) if self._weigh is None else sum(map(self._weigh, questions))

    async def _answer(self, batch: list[Asked[Q, C, R]], pump: asyncio.Task[None]) -> None:
        parts = [batch]
        while parts:
            part = parts.pop()
            error = await self._ask_for(part, pump)
            if error is None:
                continue
            middle = len(part) // 2
            if middle == 0 or not self._isolates or not isinstance(error, UnreadableRowError):
                _fail(part, error)
                continue
            halves = [
                [asked for asked in half if not asked[1].done()]
                for half in (part[middle:], part[:middle])
            ]
            parts += [half for half in halves if half]

    async def _ask_for(
        self, batch: list[Asked[Q, C, R]], pump: asyncio.Task[None]
    ) -> Exception | None:
        """Answer the callers; the error, if the query fails."""
        questions = [question for asked, _ in batch for question in asked]
        self._pumps[pump] = batch
        try:
            common, answers = await self._run(questions)
        except asyncio.CancelledError:
            if not self._pumps[pump]:
                pump.uncancel()  # the cancellation was ours, and for this query only
            elif is_being_cancelled():
                raise
            else:
                _fail(batch, RuntimeError("the query was cancelled from inside"))
            return None
        except Exception as error:
            return error
        finally:
            self._pumps[pump] = []
        start = 0
        for asked, future in batch:
            end = start + len(asked)
            if not future.done():
                future.set_result((common, answers[start:end]))
            start = end
        return None


def _fail(batch: Sequence[Asked[Q, C, R]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _expire(future: asyncio.Future[tuple[C, list[R]]]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
