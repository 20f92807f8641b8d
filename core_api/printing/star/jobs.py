"""The jobs of Star printers, for HTTP and MQTT.

Both hold the printer as one agent and use the same rules (`cloudprnt.py`), so a printer may change
from one to the other between any two messages.
"""

from __future__ import annotations

from typing import Final

from client_sdk.contract.channel import Channel
from core_api.errors import ConflictError, NotFoundError
from core_api.printing.cloudprnt import AGENT, Poll, decide, is_taken, parse_token, token_of
from core_api.printing.jobs import Job, Step, StepReport
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService

HELD_S: Final = 30.0
"""A printer reports every few seconds; one that is silent for so many seconds is offline."""
_MAX_DECISIONS: Final = 200


class StarJobs:
    """The jobs of printers that speak CloudPRNT.

    All methods raise `UnavailableError` where Postgres does not answer or a lock is held.

    Args:
        prints: takes jobs through their steps.
        presence: stores the status of printers.
    """

    def __init__(self, prints: PrintService, presence: PrinterPresence) -> None:
        self._prints = prints
        self._presence = presence

    async def reported(self, printer: Channel, poll: Poll) -> Job | None:
        """Store the printer's status, and take the step of its job that follows from it.

        Returns:
            The job that it is offered; None: there is nothing to print now.
        """
        try:
            await self._prints.hold(printer, AGENT, HELD_S)
        except ConflictError:
            return None
        await self._presence.heard(printer, AGENT, poll.troubles)
        for _ in range(_MAX_DECISIONS):
            jobs, now = await self._prints.jobs(printer)
            decided = decide(jobs, poll, now)
            if decided.step is None or decided.job is None:
                return decided.job
            job = decided.job
            await self.step(printer, job.id, decided.step, job.attempts, decided.detail)
        return None

    async def wanted(self, printer: Channel, token: str | None) -> Job | None:
        """The job that a printer asks for, by its token, or the next one; None: there is none."""
        jobs, _ = await self._prints.jobs(printer)
        taken = next((one.job for one in jobs if is_taken(one.job)), None)
        if token is None:
            return taken or next((one.job for one in jobs if one.job.is_ready), None)
        named = parse_token(token)
        if named is None:
            return None
        if taken is not None:
            return taken if named == (taken.id, taken.attempts) else None
        return next(
            (one.job for one in jobs if one.job.is_ready and token_of(one.job) == token), None
        )

    async def take(self, printer: Channel, job: Job) -> Job | None:
        """Give the job to the printer; None: it must not be printed any more."""
        if is_taken(job):
            return job
        taken = await self.step(printer, job.id, "take", 0, "")
        return taken if taken is not None and is_taken(taken) else None

    async def take_first(self, printer: Channel, job: Job) -> Job | None:
        """As `take`, for a printer that gets jobs without asking: None also if it was given to the
        printer before, perhaps by another process, which has sent it."""
        try:
            return await self._prints.take_first(printer, job.id, AGENT)
        except (ConflictError, NotFoundError):
            return None

    async def confirmed(self, printer: Channel, token: str | None, step: Step, detail: str) -> None:
        """Store the outcome of the token's attempt; without a token, of the one in progress.

        Args:
            printer: whose job it is.
            token: of the job and the attempt, as the printer got it; None: the printer names none.
                Nothing is stored for one that is malformed.
            step: what has happened to the job.
            detail: why, for people.
        """
        named = None if token is None else parse_token(token)
        if token is None:
            jobs, _ = await self._prints.jobs(printer)
            taken = next((one.job for one in jobs if is_taken(one.job)), None)
            named = None if taken is None else (taken.id, taken.attempts)
        if named is not None:
            await self.step(printer, named[0], step, named[1], detail)

    async def gone(self, printer: Channel) -> None:
        """Store that the printer is offline."""
        await self._prints.let_go(printer, AGENT)
        await self._presence.gone(printer, AGENT)

    async def step(
        self, printer: Channel, job_id: str, step: Step, attempt: int, detail: str
    ) -> Job | None:
        """Take the step; None: it is no longer possible, or there is no such job.

        Args:
            printer: whose job it is.
            job_id: of the job.
            step: what has happened to it.
            attempt: the number of the attempt, from 1.
            detail: why, for people.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            report = StepReport(step, AGENT, attempt, detail)
            return await self._prints.step(printer, job_id, report)
        except (ConflictError, NotFoundError):
            return None
