"""The agent of one printer: prints jobs one at a time, in order, and marks each repeat.

The steps are: Core grants the job, the journal records it, the bytes are sent, the printer
confirms, and only then the next job follows. If the agent stops in the middle of a job, that job is
doubtful: it is printed again, marked as a repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from client_sdk.errors import UnreachableError, YabamError
from client_sdk.printer.connections import Address
from client_sdk.printer.errors import HeldError, PrinterError
from client_sdk.printer.journal import Journal, JournalEntry
from client_sdk.printer.printing import PaperTicket, print_ticket, state_of
from client_sdk.printer.source import Job, JobSource, Taken
from client_sdk.printer_media.lines import marked_repeat
from client_sdk.supervision import BackgroundTasks

HOLD_EVERY_S: Final = 20.0
"""A third of the time after which Core gives the printer to another agent."""
AGAIN_S: Final = 1.0
"""The wait before a retry after a failure, in seconds."""
TOLD_AGAIN_AFTER_S: Final = 5.0
"""If Core does not show a reported outcome this long after the last one, it is reported again: Core
may be late, or was restored to an earlier state."""
_AT: Final = "@"
"""The separator between a job's id and its time; ids cannot contain it."""
_EARLIER_RELEASE: Final = "begun by an agent of an earlier release"


class Agent:
    """Prints the jobs of one printer.

    Args:
        source: where the jobs come from.
        journal: the record of attempts, which survives a crash.
        address: the printer's address.
        say: called with each line of text for a person.
    """

    def __init__(
        self,
        source: JobSource,
        journal: Journal,
        address: Address,
        say: Callable[[str], None],
    ) -> None:
        self._source = source
        self._journal = journal
        self._address = address
        self._say = say
        self._troubles: list[str] = []
        self._said = ""
        self._held_at: float | None = None
        self._told_at = float("-inf")
        self._looked_at = float("-inf")
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Print until cancelled.

        Raises:
            AgentError: it cannot continue; the text says what to do.
        """
        self._journal.end_what_was_left()
        failed: list[Exception] = []
        tasks = BackgroundTasks(self._tell_person)
        tasks.once("report that this agent prints here", self._keep_holding(), failed.append)
        try:
            while not failed:
                await self._once()
            # Between two steps: a ticket that is being printed comes to its end.
            raise failed[0]
        finally:
            await tasks.stop()
            with contextlib.suppress(YabamError):
                await self._source.hold((), leaving=True)

    async def _once(self) -> None:
        """Do the next step, or wait for one."""
        try:
            if self._held_at is None:
                await asyncio.sleep(0.05)
                return
            await self._tell_outcomes()
            await self._tell_again()
            job = next((one for one in self._source.jobs() if self._is_open(one)), None)
            if job is None:
                if time.monotonic() - self._looked_at > HOLD_EVERY_S:
                    await self._is_ready()
                await self._source.changed(AGAIN_S)
            elif not await self._is_ready() or not await self._print(job):
                await self._source.changed(AGAIN_S)
        except (UnreachableError, HeldError) as error:
            self._tell_person(str(error))
            await asyncio.sleep(AGAIN_S)

    def _is_open(self, job: Job) -> bool:
        if not job.is_ready:
            return False
        # The known state may be older than this agent's last report to Core.
        return self._begun(job) is None

    def _begun(self, job: Job) -> JournalEntry | None:
        """The journal's entry of the attempt that Core considers in progress here."""
        if job.state != "sent" or job.agent != self._journal.agent:
            return None
        return self._noted(job, job.attempts)

    def _noted(self, job: Job, attempt: int) -> JournalEntry | None:
        """The journal's entry of an attempt; None: it was not started here."""
        name = _name_of(job)
        entry = self._journal.find(name, attempt)
        if entry is not None or name == job.id:
            return entry
        # Earlier releases recorded only the id, which a restore may have given to another event.
        entry = self._journal.find(job.id, attempt)
        return entry and replace(entry, outcome="doubt", detail=_EARLIER_RELEASE)

    async def _print(self, job: Job) -> bool:
        """Print a job; False: Core does not grant it."""
        taken = await self._source.take(job)
        if taken is None or taken.state != "sent":
            return taken is not None
        known = self._noted(job, taken.attempts)
        if known is not None:
            # Core was restored to a state before the report.
            await self._tell(known)
            return True
        if not self._still_holds():
            return False
        entry = self._journal.begin(_name_of(job), taken.attempts)
        word = await print_ticket(
            self._address, _ticket(job, taken, entry.number), self._trouble, time.monotonic
        )
        self._journal.end(entry, word.outcome, word.detail)
        mark = " REPEAT" if taken.repeat else ""
        self._tell_person(f"{job.id}{mark}: {word.outcome} {word.detail}".rstrip())
        await self._tell_outcomes()
        return True

    async def _is_ready(self) -> bool:
        """Whether the printer can print now; Core is told what troubles it."""
        self._looked_at = time.monotonic()
        try:
            state = await state_of(self._address)
        except PrinterError as error:
            self._trouble([str(error)])
            return False
        self._trouble([*state.troubles, *state.warnings])
        return not state.troubles

    async def _tell_outcomes(self) -> None:
        for entry in self._journal.untold():
            await self._tell(entry)
            self._journal.told(entry)

    async def _tell_again(self) -> None:
        """Tell the outcomes of what Core takes to be under way here, and is not: Core gives no
        other job before."""
        if time.monotonic() - self._told_at < TOLD_AGAIN_AFTER_S:
            return
        for job in self._source.jobs():
            entry = self._begun(job)
            if entry is not None:
                await self._tell(entry)

    async def _tell(self, entry: JournalEntry) -> None:
        self._told_at = time.monotonic()
        job = entry.job.partition(_AT)[0]
        await self._source.tell(job, entry.attempt, entry.outcome or "doubt", entry.detail)

    def _still_holds(self) -> bool:
        """Whether Core has given the printer to nobody else yet, by our own clock."""
        return self._held_at is not None and time.monotonic() - self._held_at < 2 * HOLD_EVERY_S

    def _trouble(self, troubles: Sequence[str]) -> None:
        if list(troubles) != self._troubles:
            self._troubles = [one[:100] for one in troubles]
            self._tell_person(", ".join(self._troubles) or "the printer is ready")
            self._news.set()

    async def _keep_holding(self) -> None:
        """Report regularly that this agent prints here, and at once when troubles change."""
        while True:
            asked_at = time.monotonic()
            self._news.clear()
            pause = HOLD_EVERY_S
            try:
                await self._source.hold(self._troubles)
                self._held_at = asked_at
            except HeldError as error:
                self._held_at = None
                self._tell_person(str(error))
                pause = AGAIN_S
            except UnreachableError as error:
                self._tell_person(str(error))
                pause = AGAIN_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    def _tell_person(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._say(line)


def _name_of(job: Job) -> str:
    """The job's name in the journal, which stays unique even after a restore of the database."""
    return f"{job.id}{_AT}{job.made_at}" if job.made_at else job.id


def _ticket(job: Job, taken: Taken, number: int) -> PaperTicket:
    lines = marked_repeat(job.lines, job.language, job.columns) if taken.repeat else job.lines
    return PaperTicket(lines, job.columns, job.media, number)
