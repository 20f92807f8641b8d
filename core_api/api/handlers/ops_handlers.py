"""What Core answers about itself, for the ops page: the figures, the last day, acknowledgements."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.text import shown
from core_api.access.callers import Caller
from core_api.api.answers import json_answer
from core_api.api.gate import Gate
from core_api.api.operations import Handler
from core_api.api.request_parts import JsonBody
from core_api.dashboard.acknowledgements import acknowledge
from core_api.dashboard.alerts import MAX_ALERT_CHARS
from core_api.dashboard.day import charted_day
from core_api.dashboard.points import Point
from core_api.dashboard.sampler import Sampler
from core_api.dashboard.waiting import Acknowledged
from core_api.errors import ForbiddenError, NotFoundError
from core_api.postgres.pool import Pool


class Day(Struct, frozen=True):
    """What the charts show of the last day."""

    points: list[Point]
    """The oldest first, one a minute."""


class Acknowledgement(Struct, frozen=True):
    """The body of `POST /v1/ops/acknowledgements`: somebody takes care of an alert."""

    alert: Annotated[str, Meta(min_length=1, max_length=MAX_ALERT_CHARS)]
    """Its name; for a store to phone, `unreceived:{store}` or `unaccepted:{store}`."""


ACKNOWLEDGEMENT: Final = JsonBody(Acknowledgement)


class OpsApi:
    """The handlers, for tokens of role ops alone.

    Args:
        stream: answers `GET /v1/ops/stream`.
        sampler: knows which alerts there are.
        pool: the database.
        gate: lets callers in.
    """

    def __init__(self, stream: Handler, sampler: Sampler, pool: Pool, gate: Gate) -> None:
        self.stream = stream
        self._sampler = sampler
        self._pool = pool
        self._gate = gate

    async def day(self, request: Request) -> Response:
        """GET /v1/ops/day.

        Raises:
            ForbiddenError: the caller is not of role ops.
        """
        self._caller(request)
        points = await self._gate.bounded(lambda: charted_day(self._pool))
        return json_answer(Day(points))

    async def acknowledge(self, request: Request) -> Response:
        """POST /v1/ops/acknowledgements.

        Raises:
            ForbiddenError: the caller is not of role ops.
            NotFoundError: there is no such alert now.
        """
        caller = self._caller(request)
        wanted = await ACKNOWLEDGEMENT.read(request)
        with self._gate.admit():
            await self._gate.check_stay(caller)
            return json_answer(
                await self._gate.within_deadline(self._acknowledge(caller, wanted.alert))
            )

    async def _acknowledge(self, caller: Caller, alert: str) -> Acknowledged:
        """An alert is acknowledged once: a second caller is told who did it.

        Raises:
            NotFoundError: there is no such alert now.
            UnavailableError: Postgres does not answer.
        """
        figures = await self._sampler.now()
        there = {one.name: one.acknowledged for one in figures.alerts}
        there |= {store.alert: store.acknowledged for store in figures.late or ()}
        if alert not in there:
            raise NotFoundError(f"there is no alert {shown(alert)} now: it may have ended")
        known = there[alert]
        return known or await acknowledge(self._pool, alert, caller.subject, figures.at_ms)

    def _caller(self, request: Request) -> Caller:
        caller = self._gate.caller_of(request)
        if caller.role != "ops":
            raise ForbiddenError("a token of role ops is needed")
        return caller
