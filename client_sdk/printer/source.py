"""Where an agent's jobs come from, and where its word goes. Another way in is another source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from client_sdk.printer.journal import Outcome
from client_sdk.printer_media.lines import Line


class Job(Struct, frozen=True):
    """A print job as it is known here; Core may be further."""

    id: str
    seq: int
    copy: int
    state: str
    """queued, sent, done, failed or doubtful, or one that only a newer Core knows."""
    attempts: int
    waits: bool
    """Whether it waits for a person."""
    agent: str
    """Who took it last."""
    language: str
    columns: int
    media: str
    lines: list[Line]

    @property
    def is_ready(self) -> bool:
        """Whether whoever holds the printer may take it."""
        return self.state == "queued" or (self.state in ("doubtful", "sent") and not self.waits)


class Taken(Struct, frozen=True):
    """What Core answers to who takes a job."""

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
            HeldError: another agent does.
            UnreachableError: nobody answers.
            AgentError: it will never be allowed.
        """

    async def take(self, job: Job) -> Taken | None:
        """Take a job; None: it cannot be had any more. Raises as `hold`."""

    async def tell(self, job: str, attempt: int, outcome: Outcome, detail: str) -> None:
        """Say what became of an attempt; raises UnreachableError, AgentError."""


class _Value(Struct, frozen=True):
    """What an agent needs of a job's document; a newer Core may say more."""

    seq: int
    copy: int
    state: str
    language: str
    columns: int
    media: str
    lines: list[Line]
    attempts: int = 0
    waits: bool = False
    agent: str = ""


def job_of_document(name: str, value: Any) -> Job | None:
    """The job of a document; None: it is gone, or nothing that can be printed."""
    if value is None:
        return None
    try:
        one = msgspec.convert(value, _Value)
    except msgspec.ValidationError:
        return None
    return Job(
        name,
        one.seq,
        one.copy,
        one.state,
        one.attempts,
        one.waits,
        one.agent,
        one.language,
        one.columns,
        one.media,
        one.lines,
    )
