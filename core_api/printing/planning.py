"""The jobs that a printer gets from its store's events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.digest import canonical
from client_sdk.contract.json_decoding import decode
from client_sdk.contract.order import Order
from core_api.edits.rows import shown_bytes
from core_api.edits.what_was_read import Room
from core_api.printing.jobs import Job, JobNames, name_of, plain_name_of
from core_api.printing.layout import lines_of
from core_api.printing.routing import Printer, Printing, ticket_of


class LogEvent(Struct, frozen=True):
    """An event of an order as the log keeps it, and the one before it."""

    seq: int
    body: str
    before: str | None
    """None: it is the first, or is not kept any more."""


class _Event(Struct, frozen=True):
    occurred_at: datetime
    data: Order


_MAX_REASON: Final = 200
_event_decoder = msgspec.json.Decoder(_Event)


@dataclass(slots=True)
class PlannedJobs:
    """The jobs made from some events."""

    seq: int
    """The seq of the last event that was processed."""
    jobs: list[Job] = field(default_factory=list)
    unprintable: dict[int, str] = field(default_factory=dict)
    """The seqs of events that make no job, as they cannot be read or laid out; each with why."""


def plan_jobs(
    events: Sequence[LogEvent],
    printing: Printing,
    printer: Printer,
    seq: int,
    room: Room,
    names: JobNames = "dated",
) -> PlannedJobs:
    """Make the jobs of one printer.

    Args:
        events: of its store, in order.
        printing: of its store.
        printer: the printer.
        seq: of the last event that was processed before.
        room: the most jobs to make, and the most bytes of them that a snapshot shows; later events
            wait. One event's jobs are made in any case.
        names: how they are named.
    """
    planned = PlannedJobs(seq)
    size = 0
    for event in events:
        try:
            now = decode(_event_decoder, "{" + event.body)
            before = None if event.before is None else decode(_event_decoder, "{" + event.before)
            order = None if before is None else before.data
            jobs = _jobs(printing, printer, order, now, event.seq, names)
            size += sum(shown_bytes(canonical(job.value)) for job in jobs)
        except Exception as error:
            # The tickets behind it must not wait for it, even if a bug of ours is to blame.
            planned.unprintable[event.seq] = repr(error)[:_MAX_REASON]
            planned.seq = event.seq
            continue
        is_full = len(planned.jobs) + len(jobs) > room.documents or size > room.size
        if is_full and planned.seq > seq:
            break
        planned.jobs += jobs
        planned.seq = event.seq
    return planned


def _jobs(
    printing: Printing,
    printer: Printer,
    before: Order | None,
    event: _Event,
    seq: int,
    names: JobNames,
) -> list[Job]:
    order = event.data
    ticket = ticket_of(printing, printer, before, order)
    if ticket is None:
        return []
    at, made_at = event.occurred_at, event.occurred_at.isoformat()
    return [
        Job(
            order=order.id,
            version=order.version,
            kind=ticket.kind,
            copy=copy,
            copies=printer.copies,
            seq=seq,
            made_at=made_at,
            expires_at=(at + timedelta(seconds=printer.max_age_s)).isoformat(),
            max_age_s=printer.max_age_s,
            language=printer.language,
            columns=printer.columns,
            media=printer.media,
            lines=lines_of(ticket, order, printer, copy, at, printing.time_zone),
            id=name_of(order.id, order.version, copy, made_at)
            if names == "dated"
            else plain_name_of(order.id, order.version, copy),
        )
        for copy in range(1, printer.copies + 1)
    ]
