"""The life of a print job, and when a ticket is marked as a repeat. Pure.

`statements.py:hold_printer` says which agent holds a printer, and `client_sdk/printer` in which
order it prints.

| from | step | to |
| --- | --- | --- |
| queued | take | sent; marked as a repeat, if the log has a new epoch since |
| sent by another agent, doubtful | take | sent, and marked as a repeat |
| these, past their time | take | failed, too old: it waits for a person |
| sent, doubtful | done | done: the printer reported it |
| sent | fail | failed: it waits for a person |
| sent | doubt | doubtful: it may be on paper or not |
| failed, doubtful, done | again | queued, marked as a repeat if it was ever sent |
| all but done | drop | failed, and it does not wait for a person |

A step names the attempt that it is about. A repeated or late step changes nothing.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from client_sdk.contract.errors import YabamError
from client_sdk.printer_media.lines import Line
from core_api.printing.routing import Language, Media, TicketKind

JobState = Literal["queued", "sent", "done", "failed", "doubtful"]
Step = Literal["take", "done", "fail", "doubt", "again", "drop"]
JobNames = Literal["dated", "plain"]
"""How new jobs are named; jobs with either kind of name are found by it."""

PREFIX: Final = "print."
MAX_ATTEMPTS: Final = 3
"""A job that was doubtful so often is printed again only if a person asks for it."""
DONE_KEPT_S: Final = 60.0
KEPT_S: Final = 86_400.0
"""How long an unchanged job is kept, in seconds. Its history is kept longer."""
TOO_OLD: Final = "too old: print it again if it still matters"
TOO_OLD_IN_DOUBT: Final = "too old, and may be on paper: print it again if it still matters"
MAX_DETAIL: Final = 200
EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Earlier than any event."""
_MARK_BYTES: Final = 5
"""40 bits keep two events of one order and version apart; the id of a command has 56 letters."""


class StepReport(NamedTuple):
    """What somebody reports of a job."""

    step: Step
    """What happened."""
    agent: str
    """Who reports it: an agent, or a person's name. To take a job it must hold the printer."""
    attempt: int = 0
    """Which attempt it is about; ignored for `again` and `drop`."""
    detail: str = ""
    """A text for people."""


class StepRefusedError(YabamError):
    """The job cannot take this step from where it is; the text says why."""


class Job(Struct, frozen=True):
    """One ticket for one printer: the value of `print.{id}`."""

    order: str
    version: int
    """Of the order."""
    kind: TicketKind
    copy: int
    """1 to `copies`."""
    copies: int
    seq: int
    """Of the order's event in its store's channel: jobs are printed in this order."""
    made_at: str
    expires_at: str
    """After this time it is printed only if a person asks for it."""
    max_age_s: int
    language: Language
    columns: int
    media: Media
    lines: list[Line]
    state: JobState = "queued"
    attempts: int = 0
    repeat: bool = False
    """Whether it may have been printed before, so that the paper must say so."""
    waits: bool = False
    """Whether it waits for a person."""
    agent: str = ""
    """Who took it last."""
    detail: str = ""
    id: str = ""
    """Its name in the channel of its printer (`name_of`), which the document does not repeat."""

    @property
    def is_ready(self) -> bool:
        """Whether an agent may take it without a person's request."""
        return self.state == "queued" or (self.state in ("doubtful", "sent") and not self.waits)

    def is_too_old(self, now: datetime) -> bool:
        """Whether it is printed only if a person asks for it."""
        return now > datetime.fromisoformat(self.expires_at)

    @property
    def value(self) -> dict[str, Any]:
        """As the document has it."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        del built["id"]
        return built


def name_of(order: str, version: int, copy: int, made_at: str) -> str:
    """The name of a job: the same for the same event and copy, and never another event's.

    After a restore of the database an order's versions are used again, for other events. An agent
    or a printer may still mean an earlier ticket: so the name also has the time of the event.

    Args:
        order: the order's id.
        version: the order's, after the event.
        copy: from 1 to the number of copies.
        made_at: the time of the event, as text.
    """
    mark = b32encode(sha256(made_at.encode()).digest()[:_MARK_BYTES]).decode().lower()
    return f"{order}-{version}-{copy}-{mark}"


def plain_name_of(order: str, version: int, copy: int) -> str:
    """The name that v0.2.0-alpha.1 gives a job, and computes again when a Star printer asks for it:
    it finds no other. After a restore it may be the name of another ticket.

    Args:
        order, version, copy: as for `name_of`.
    """
    return f"{order}-{version}-{copy}"


def job_of(name: str, value: Mapping[str, Any]) -> Job:
    """Read a document that `Job.value` made.

    Args:
        name: the job's, from the document's key.
        value: the document.

    Raises:
        msgspec.ValidationError: the document is not a job.
    """
    return msgspec.convert({**value, "id": name}, Job)


def after(job: Job, report: StepReport, now: datetime, began_at: datetime = EVER) -> Job:
    """The job after the step; unchanged, if the step was taken before.

    Args:
        job: as it is.
        report: the step.
        now: by the database's clock.
        began_at: when the log's epoch began. A job of an earlier event may have been printed after
            the backup from which the database was restored.

    Raises:
        StepRefusedError: the step does not follow.
    """
    step, agent, attempt, detail = report
    detail = detail[:MAX_DETAIL]
    if step == "take":
        return _taken(job, agent, now, began_at)
    if step == "again":
        return _again(job, agent, now)
    if step == "drop":
        if job.state == "done":
            raise StepRefusedError("it is printed already")
        return replace(job, state="failed", waits=False, detail=f"dropped by {agent}"[:MAX_DETAIL])
    if (agent, attempt) != (job.agent, job.attempts):
        raise StepRefusedError(
            f"attempt {job.attempts} of {job.agent or 'nobody'} is under way, "
            f"not {attempt} of {agent}"
        )
    if step == "done":
        if job.state not in ("sent", "doubtful", "done"):
            raise StepRefusedError(f"it is {job.state}")
        return job if job.state == "done" else replace(
            job, state="done", waits=False, detail=detail
        )  # fmt: skip
    return _troubled(job, step, detail)


def ends_at(job: Job, now: datetime) -> datetime:
    """When the document ends by itself if nothing more happens."""
    if job.state == "done":
        return now + timedelta(seconds=DONE_KEPT_S)
    return max(now, datetime.fromisoformat(job.expires_at)) + timedelta(seconds=KEPT_S)


def _taken(job: Job, agent: str, now: datetime, began_at: datetime) -> Job:
    if job.state == "sent" and job.agent == agent:
        return job
    if not job.is_ready:
        raise StepRefusedError(f"it is {job.state}" + (" and waits for a person" * job.waits))
    if job.is_too_old(now):
        detail = TOO_OLD if job.state == "queued" else TOO_OLD_IN_DOUBT
        return replace(job, state="failed", waits=True, detail=detail)
    may_be_on_paper = job.state != "queued" or datetime.fromisoformat(job.made_at) < began_at
    return replace(
        job,
        state="sent",
        agent=agent,
        attempts=job.attempts + 1,
        repeat=job.repeat or may_be_on_paper,
        detail="",
    )


def _again(job: Job, agent: str, now: datetime) -> Job:
    if job.state in ("queued", "sent"):
        raise StepRefusedError(f"it is {job.state}: it prints without being asked")
    return replace(
        job,
        state="queued",
        waits=False,
        repeat=job.attempts > 0,
        expires_at=(now + timedelta(seconds=job.max_age_s)).isoformat(),
        detail=f"again, says {agent}"[:MAX_DETAIL],
    )


def _troubled(job: Job, step: Step, detail: str) -> Job:
    state: JobState = "failed" if step == "fail" else "doubtful"
    if job.state == state:
        return job
    if job.state != "sent":
        raise StepRefusedError(f"it is {job.state}")
    waits = state == "failed" or job.attempts >= MAX_ATTEMPTS
    return replace(job, state=state, waits=waits, detail=detail)
