"""The fast path of plain Fetch Syncs: from the connection to a shared database read, and back.

It runs even before `fast_path`: no parser, no scope, no task. It calls the same functions in the
same order. Any other request, and every refusal, it hands to an application that goes on where it
stopped. A test checks that both ways give the same bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Final, Protocol, TypeAlias

from starlette.types import ASGIApp

from client_sdk.contract.device import DeviceReport
from core_api.access.callers import Caller
from core_api.api.gate import Gate
from core_api.api.request_parts import device_of
from core_api.errors import UnavailableError
from core_api.http.plain_requests import PlainRequest, PlainRequests
from core_api.http.quick_answers import Asker
from core_api.sync.quick.reads import QuickAnswer, QuickOutcome
from core_api.sync.request import SyncRequest, parse_going_on, parse_sync
from core_api.sync.service import FetchSync
from server_common.http.query_string import parse_query
from server_common.short_tasks import short_task

PARTY_STAYS: Final = "party-stays"
"""The name of the task that asks whether a guest's party stays."""

General: TypeAlias = Callable[[Caller, DeviceReport | None, SyncRequest], Awaitable[bytes]]
Note: TypeAlias = Callable[[Caller, DeviceReport, SyncRequest, str, Mapping[str, int]], None]
Finishing: TypeAlias = Callable[[Callable[[], Awaitable[bytes]], float], ASGIApp]
# The answer's receiver, when the request came, its caller, the device's report, what it asks for.
_Asked: TypeAlias = tuple[Asker, float, Caller, DeviceReport | None, SyncRequest]


class Observer(Protocol):
    """A histogram of durations, in seconds."""

    def observe(self, amount: float) -> None:
        """Count one duration, in seconds."""


class QuickSyncs:
    """Answers plain requests for `GET /v1/sync`.

    Args:
        path: the path of the syncs.
        gate: lets callers in.
        fetch: Fetch Sync.
        general: makes the answer's body for any sync.
        note: records a device's report, with the answer it got.
        finishing: makes an application that finishes a request; takes the time when it began.
        served: observes how long answers took.
    """

    def __init__(
        self,
        path: str,
        gate: Gate,
        fetch: FetchSync,
        general: General,
        note: Note,
        finishing: Finishing,
        served: Observer,
    ) -> None:
        self._requests = PlainRequests(path)
        self._gate = gate
        self._fetch = fetch
        self._general = general
        self._note = note
        self._finishing = finishing
        self._served = served
        self._asking: set[asyncio.Task[None]] = set()

    def take(self, data: bytes, asker: Asker) -> bool:
        """Take a request, if it is plain (`QuickAnswers`)."""
        request = self._requests.read(data)
        if request is None:
            return False
        began = time.perf_counter()
        try:
            self._begin(request, asker, began)
        except Exception as error:
            self._refuse(asker, began, error)
        return True

    def _begin(self, request: PlainRequest, asker: Asker, began: float) -> None:
        caller = self._gate.holder(request.token)
        wanted = parse_going_on(request.query) or parse_sync(parse_query(request.query, "replace"))
        report = device_of(request.device)
        named = None if report is None else report.device
        told = partial(self._told, (asker, began, caller, report, wanted))
        if not self._fetch.ask(caller, wanted, named, told):
            told(None)

    def _told(self, asked: _Asked, outcome: QuickOutcome) -> None:
        asker, began, caller, report, wanted = asked
        if outcome is None:
            work = partial(self._general, caller, report, wanted)
            asker.leave_to(self._finishing(work, began))
        elif not isinstance(outcome, QuickAnswer):
            self._refuse(asker, began, outcome)
        else:
            answer = partial(self._answer, asked, outcome)
            if caller.role == "table":
                self._once_it_stays(caller, answer)
            else:
                answer(None)

    def _once_it_stays(self, caller: Caller, answer: Callable[[Exception | None], None]) -> None:
        """A guest's party may have left its table: that is asked of the database, after the read,
        so that the answer shows nothing of the next party."""

        def asked(asking: asyncio.Task[None]) -> None:
            self._asking.discard(asking)
            if asking.cancelled():
                answer(UnavailableError("Core is stopping: retry, or ask another Core"))
            else:
                error = asking.exception()
                if error is not None and not isinstance(error, Exception):
                    error = RuntimeError(f"whether the party stays is not known: {error!r}")
                answer(error)

        # In an empty context: otherwise all requests of a shared read run in the first one's.
        asking = short_task(self._gate.check_stay(caller), Context(), PARTY_STAYS)
        self._asking.add(asking)
        asking.add_done_callback(asked, context=Context())

    def _answer(self, asked: _Asked, found: QuickAnswer, error: Exception | None) -> None:
        asker, began, caller, report, wanted = asked
        if error is not None:
            self._refuse(asker, began, error)
            return
        try:
            self._gate.check_signed_in(caller)
            if report is not None:
                self._note(caller, report, wanted, found.epoch, found.heads)
        except Exception as refusal:
            self._refuse(asker, began, refusal)
            return
        asker.answer(found.body)
        self._served.observe(time.perf_counter() - began)

    def _refuse(self, asker: Asker, began: float, error: Exception) -> None:
        asker.leave_to(self._finishing(partial(_refused, [(error, error.__traceback__)]), began))


async def _refused(held: list[tuple[Exception, TracebackType | None]]) -> bytes:
    # Kept nowhere once it is raised: error, traceback and connection would form a reference cycle.
    # Others may be refused with the same error, each with the original traceback.
    error, found = held.pop()
    try:
        raise error.with_traceback(found)
    finally:
        del error, found
