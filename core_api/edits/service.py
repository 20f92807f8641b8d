"""The write path of edits: what many clients send at once becomes one transaction.

It reads what settling needs, settles the edits by the pure rules, and writes with a statement that
checks that nothing has changed since. Where another process was first, it settles again; after two
lost races it locks the rows before it reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from prometheus_client import CollectorRegistry

from client_sdk.contract.channel import Channel
from client_sdk.contract.state.edit import EditBatch
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.kept_versions import History
from core_api.edits.metrics import EditMetrics
from core_api.edits.needs import answers_needed, histories_needed, work_of
from core_api.edits.plan import EditAnswer, Known, Plan, Rules
from core_api.edits.planning import FAILED, plan_edits
from core_api.edits.reading import (
    Connection,
    Savepoint,
    full_subjects,
    read_answers,
    read_histories,
    read_state,
    readable_histories,
    unreadable_documents,
)
from core_api.edits.requests import EditRequest
from core_api.edits.what_was_read import DocumentName
from core_api.edits.writing import ensure_rows, held_by_others, lock_rows, write_plan
from core_api.errors import ConflictError, CoreError, UnavailableError
from core_api.postgres.lock_queues import LockQueues
from core_api.postgres.pool import Pool, transaction
from server_common.logs import get_logger

_log = get_logger()

RACES: Final = 2
"""Lost races after which the rows are locked before they are read."""
MAX_ATTEMPTS: Final = 5
"""How often edits are settled; after `RACES` the rows are locked, so no other can be first."""

BESIDE: Final = 16
"""Once so many requests wait, their documents are read and settled while others are being written,
and the other way round: Postgres and this process work at the same time."""

MAX_AT_A_STRETCH_BYTES: Final = 512 * 1024
"""The most bytes of documents that are worked on in the event loop; more go to a thread."""

Answer = EditAnswer | Exception


class EditService:
    """Settles edits.

    Args:
        pool: the database, by connections that wait for a lock shortly only.
        definitions: which documents there may be.
        partitions: how many shards the outbox has.
        committed: called after each commit with the channels that got an event.
        obeyed_by_orders: whether orders of a channel's store obey the document of this key.
        lock_turns: how many connections may be busy with writes that wait for a lock.
        metrics: where the counts go; None: nothing is counted.
    """

    def __init__(
        self,
        pool: Pool,
        definitions: Definitions,
        partitions: int,
        committed: Callable[[Sequence[str]], None],
        obeyed_by_orders: Callable[[Channel, str], bool],
        lock_turns: int = 1,
        metrics: EditMetrics | None = None,
    ) -> None:
        self._pool = pool
        self._rules = Rules(definitions, partitions, obeyed_by_orders)
        self._committed = committed
        self._metrics = EditMetrics(CollectorRegistry()) if metrics is None else metrics
        self._writes: LockQueues[EditRequest, Answer] = LockQueues(
            self._settle_each, self._held, lock_turns, lambda request: request.weight, BESIDE
        )

    @property
    def waiting_for_lock(self) -> int:
        """How many requests wait for a lock that somebody holds in the database."""
        return self._writes.waiting_for_lock

    @property
    def definitions(self) -> Definitions:
        """Which documents there may be."""
        return self._rules.definitions

    async def apply(self, caller: Caller, batch: EditBatch, size: int = 0) -> EditAnswer:
        """Settle a client's edits; each is refused, or takes effect, by itself.

        Args:
            caller: who edits.
            batch: the client's edits, in the order of their numbers.
            size: the bytes of the request's body; they count as work.

        Raises:
            EditGapError: edits before the first one are not settled, or the log has another epoch
                than the client names.
            ClientTakenError: the client belongs to another subject.
            TooManyClientsError: the client is new, and its subject has as many as it may have.
            EditMismatchError: a number came with other content before.
            ConflictError: others kept writing first.
            UnavailableError: the database does not answer; some edits may be settled.
        """
        with self._metrics.seconds.time():
            answer = await self._writes.ask(EditRequest(caller, batch, size))
        if isinstance(answer, Exception):
            if isinstance(answer, ConflictError):
                self._metrics.overtaken.inc()
            raise answer
        self._metrics.answered(answer.outcomes)
        for one in answer.outcomes:
            if one.problem is not None and one.problem.slug == FAILED and not one.repeated:
                _log.error("edit_failed", client=batch.client, n=one.n, reason=one.problem.detail)
        return answer

    @property
    def rules(self) -> Rules:
        """What holds for all edits."""
        return self._rules

    async def _settle_each(self, requests: Sequence[EditRequest]) -> tuple[None, list[Answer]]:
        """Settle requests together; if that fails because of their content, each by itself."""
        try:
            return None, await self._settle(requests)
        except (UnavailableError, ConflictError):
            raise
        except Exception as error:
            if len(requests) == 1:
                return None, await self._settle_around(requests, error)
        answers: list[Answer] = []
        for request in requests:
            try:
                answers += (await self._settle_each([request]))[1]
            except CoreError as error:
                answers.append(error)  # the failure of this request; the others are settled by now
        return None, answers

    async def _settle_around(
        self, requests: Sequence[EditRequest], error: Exception
    ) -> list[Answer]:
        """Settle a request that failed because of its content, without what cannot be read.

        An edit of a damaged document is refused: left open, it would block all later edits of its
        client for ever.
        """
        try:
            damaged = await unreadable_documents(self._pool, _names(requests))
            _log.error("edits_failed", damaged=sorted(damaged), exc_info=error)
            return await self._settle(requests, damaged)
        except (UnavailableError, ConflictError):
            raise
        except Exception as again:
            return [again]

    async def _settle(
        self, requests: Sequence[EditRequest], damaged: frozenset[DocumentName] | None = None
    ) -> list[Answer]:
        """The answers. `damaged`: what cannot be read; None: all is read at once."""
        answers: dict[int, Answer] = {}
        waiting = list(range(len(requests)))
        for attempt in range(MAX_ATTEMPTS):
            going = [requests[place] for place in waiting]
            write = self._try if attempt < RACES else self._try_locked
            plan, stale = await write(going, damaged)
            done = [n for n, component in enumerate(plan.components) if component not in stale]
            answers.update({waiting[n]: plan.answers[n] for n in done})
            self._tell(plan, stale)
            waiting = [waiting[n] for n in range(len(waiting)) if n not in set(done)]
            self._metrics.races.inc(len(waiting))
            if not waiting:
                return [answers[place] for place in range(len(requests))]
        overtaken = ConflictError("others kept editing the same documents first: try again")
        return [answers.get(place, overtaken) for place in range(len(requests))]

    async def _try(
        self, requests: Sequence[EditRequest], damaged: frozenset[DocumentName] | None
    ) -> tuple[Plan, frozenset[int]]:
        plan = await self._plan(self._pool, self._pool, requests, damaged)
        if plan.new_names or plan.new_clients:
            await ensure_rows(self._pool, plan.new_names, plan.new_clients)
        return plan, await self._write(self._pool, plan)

    async def _try_locked(
        self, requests: Sequence[EditRequest], damaged: frozenset[DocumentName] | None
    ) -> tuple[Plan, frozenset[int]]:
        names = _names(requests)
        async with transaction(self._pool, isolation="read_committed") as connection:
            await lock_rows(connection, names, [request.client for request in requests])
            plan = await self._plan(connection, Savepoint(connection), requests, damaged)
            if not (plan.new_names or plan.new_clients):
                return plan, await self._write(connection, plan)
        # Inserting rows while holding locks could deadlock.
        await ensure_rows(self._pool, plan.new_names, plan.new_clients)
        return plan, frozenset(plan.components)

    async def _plan(
        self,
        connection: Connection,
        careful: Connection,
        requests: Sequence[EditRequest],
        damaged: frozenset[DocumentName] | None,
    ) -> Plan:
        """The plan to write. `careful`: a connection that survives a failed read."""
        clients = [request.client for request in requests]
        names = [name for name in _names(requests) if not damaged or name not in damaged]
        state = await read_state(connection, names, clients)
        new = [(one.subject, one.party) for one in requests if one.client not in state.clients]
        if new:
            state = replace(state, full=await full_subjects(connection, new))
        needed = answers_needed(requests, state)
        answers = await read_answers(connection, needed) if needed else {}
        bases = histories_needed(requests, state, answers)
        histories: dict[DocumentName, History] = {}
        if bases and damaged is None:
            histories = await read_histories(connection, bases)
        elif bases:
            histories = await readable_histories(careful, bases)
        if damaged:
            state = replace(state, unreadable=damaged)
        known = Known(state, answers, histories)
        if work_of(requests, state, histories) <= MAX_AT_A_STRETCH_BYTES:
            return plan_edits(requests, known, self._rules)
        # In the event loop it would delay all other requests of this process.
        return await asyncio.to_thread(plan_edits, requests, known, self._rules)

    async def _write(self, connection: Connection, plan: Plan) -> frozenset[int]:
        if not plan.rows.clients:
            return frozenset()
        return await write_plan(connection, plan.rows, self._rules.partitions)

    def _tell(self, plan: Plan, stale: frozenset[int]) -> None:
        channels = {row[1] for row in plan.rows.events if row[0] not in stale}
        if channels:
            self._committed(sorted(channels))
            _log.info("documents_changed", channels=len(channels), events=len(plan.rows.events))

    async def _held(self, requests: Sequence[EditRequest]) -> list[str | None]:
        """For each request the name of a lock that another transaction holds; None: no lock."""
        names = _names(requests)
        channels = sorted({channel for channel, _ in names})
        documents, heads, clients = await held_by_others(
            self._pool, names, channels, [request.client for request in requests]
        )
        held = documents | heads | clients
        return [
            next((lock for lock in request.locks if lock in held), None) for request in requests
        ]


def _names(requests: Iterable[EditRequest]) -> list[DocumentName]:
    return sorted({name for request in requests for name in request.names})
