"""The agent of one printer: one job at a time, in order, and never twice without saying so.

The order is: Core grants the job, the journal notes it, the bytes go out, the printer confirms, and
only then the next job. A job that was begun and not ended when the agent stopped is doubtful: it is
printed again, marked as a repeat.
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

HOLD_EVERY_S: Final = 20.0
"""A third of the time after which Core gives the printer to another agent."""
AGAIN_S: Final = 1.0
"""How long after a failure the agent tries again, in seconds."""
TOLD_AGAIN_AFTER_S: Final = 5.0
"""What Core has been told and does not show is told again so long after the last outcome: it may
lag behind, or have gone back to before it was told."""
_AT: Final = "@"
"""Between a job's id and its time; no id has it."""
_EARLIER_RELEASE: Final = "begun by an agent of an earlier release"


class Agent:
    """Prints the jobs of one printer.

    Args:
        source: where the jobs come from.
        journal: what survives a crash.
        address: where the printer is.
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
            AgentError: it cannot go on; the text says what to do.
        """
        self._journal.end_what_was_left()
        holding = asyncio.create_task(self._keep_holding())
        try:
            while True:
                if holding.done():
                    holding.result()
                await self._once()
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            with contextlib.suppress(YabamError):
                await self._source.hold((), leaving=True)

    async def _once(self) -> None:
        """Do the next thing that is to be done, or wait for one."""
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
        # The known state may lag behind what this agent has told Core.
        return self._begun(job) is None

    def _begun(self, job: Job) -> JournalEntry | None:
        """The entry of the attempt that Core takes to be under way here."""
        if job.state != "sent" or job.agent != self._journal.agent:
            return None
        return self._noted(job, job.attempts)

    def _noted(self, job: Job, attempt: int) -> JournalEntry | None:
        """What the journal has of an attempt; None: it was not begun here."""
        name = _name_of(job)
        entry = self._journal.find(name, attempt)
        if entry is not None or name == job.id:
            return entry
        # Earlier releases noted the id alone, which may be another event's since a restore.
        entry = self._journal.find(job.id, attempt)
        return entry and replace(entry, outcome="doubt", detail=_EARLIER_RELEASE)

    async def _print(self, job: Job) -> bool:
        """Print a job; False: it cannot be had."""
        taken = await self._source.take(job)
        if taken is None or taken.state != "sent":
            return taken is not None
        known = self._noted(job, taken.attempts)
        if known is not None:
            # Core has gone back to before it was told.
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
            self._tell_person(", ".join(self._troubles) or "the printer is well")
            self._news.set()

    async def _keep_holding(self) -> None:
        """Say again and again that this agent prints here, and at once when troubles change."""
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
    """The job's name in the journal, which no other job has, whatever the database went back to."""
    return f"{job.id}{_AT}{job.made_at}" if job.made_at else job.id


def _ticket(job: Job, taken: Taken, number: int) -> PaperTicket:
    lines = marked_repeat(job.lines, job.language, job.columns) if taken.repeat else job.lines
    return PaperTicket(lines, job.columns, job.media, number)
