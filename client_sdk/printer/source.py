"""The source of an agent's jobs, which also takes their results. Each transport is a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from client_sdk.printer.journal import PrintOutcome
from client_sdk.printer_media.lines import Line


class Job(Struct, frozen=True):
    """A print job as this agent knows it; Core may know a newer state."""

    id: str
    seq: int
    copy: int
    state: str
    """queued, sent, done, failed or doubtful, or a state of a newer Core."""
    language: str
    columns: int
    media: str
    lines: list[Line]
    attempts: int = 0
    waits: bool = False
    """Whether it waits for a person."""
    agent: str = ""
    """The id of the agent that took it last."""
    made_at: str = ""
    """The time of the order's event. A restore of the database can give the id to another event,
    but not with the same time."""

    @property
    def is_ready(self) -> bool:
        """Whether the agent that holds the printer may take it."""
        return self.state == "queued" or (self.state in ("doubtful", "sent") and not self.waits)


class Taken(Struct, frozen=True):
    """Core's answer to an agent that takes a job."""

    state: str
    """`sent`: print it now."""
    attempts: int
    """The number of this attempt."""
    repeat: bool
    """Whether the ticket must be marked as a possible repeat."""


class JobSource(Protocol):
    """Gives an agent the jobs of its printer."""

    def jobs(self) -> list[Job]:
        """All jobs that are known, in the order in which they are printed."""

    async def changed(self, within_s: float) -> None:
        """Return once a job may be new, or the time is over."""

    async def hold(self, troubles: Sequence[str], *, leaving: bool = False) -> None:
        """Report that this agent prints here, and the printer's troubles.

        Raises:
            HeldError: another agent holds the printer.
            UnreachableError: Core does not answer.
            AgentError: this agent is not allowed to print here.
        """

    async def take(self, job: Job) -> Taken | None:
        """Take a job; None: it is not available any more. Raises as `hold`."""

    async def tell(self, job: str, attempt: int, outcome: PrintOutcome, detail: str) -> None:
        """Report the outcome of an attempt.

        Args:
            job: the id of the job.
            attempt: the attempt's number, as `take` has returned it.
            outcome: `done`: printed; `fail`: not printed; `doubt`: it is not known which.
            detail: for a person; Core keeps 200 characters.

        Raises:
            UnreachableError: Core does not answer; report it again.
            AgentError: Core refuses the report.
        """


def job_of_document(name: str, value: Any) -> Job | None:
    """The job in a document; None: the document is deleted, or is not a print job."""
    if not isinstance(value, dict):
        return None
    try:
        return msgspec.convert(value | {"id": name}, Job)
    except msgspec.ValidationError:
        return None
