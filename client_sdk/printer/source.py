"""Where an agent gets its jobs, and reports their results. Each transport is a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from client_sdk.printer.journal import PrintOutcome
from client_sdk.printer_media.lines import Line


class Job(Struct, frozen=True):
    """A print job as this agent knows it; Core may know more by now, and a newer one says more."""

    id: str
    seq: int
    copy: int
    state: str
    """queued, sent, done, failed or doubtful, or one that only a newer Core knows."""
    language: str
    columns: int
    media: str
    lines: list[Line]
    attempts: int = 0
    waits: bool = False
    """Whether it waits for a person."""
    agent: str = ""
    """The agent that took it last."""
    made_at: str = ""
    """When the order's event happened. A restore of the database can give the id to another
    event; no other one has this time, too."""

    @property
    def is_ready(self) -> bool:
        """Whether the agent that holds the printer may take it."""
        return self.state == "queued" or (self.state in ("doubtful", "sent") and not self.waits)


class Taken(Struct, frozen=True):
    """Core's answer to an agent that takes a job."""

    state: str
    """`sent`: it is to be printed now."""
    attempts: int
    """The number of this attempt."""
    repeat: bool
    """Whether the paper must say that it may have been printed before."""


class JobSource(Protocol):
    """Gives an agent the jobs of its printer."""

    def jobs(self) -> list[Job]:
        """All jobs that are known, in the order in which they are printed."""

    async def changed(self, within_s: float) -> None:
        """Return once something may be new, or the time is over."""

    async def hold(self, troubles: Sequence[str], *, leaving: bool = False) -> None:
        """Say that this agent prints here, and what troubles the printer.

        Raises:
            HeldError: another agent holds the printer.
            UnreachableError: Core does not answer.
            AgentError: this agent may never print here.
        """

    async def take(self, job: Job) -> Taken | None:
        """Take a job; None: it cannot be had any more. Raises as `hold`."""

    async def tell(self, job: str, attempt: int, outcome: PrintOutcome, detail: str) -> None:
        """Say what became of an attempt; raises UnreachableError, AgentError."""


def job_of_document(name: str, value: Any) -> Job | None:
    """The job of a document; None: it is gone, or nothing that can be printed."""
    if not isinstance(value, dict):
        return None
    try:
        return msgspec.convert(value | {"id": name}, Job)
    except msgspec.ValidationError:
        return None
