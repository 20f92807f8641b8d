"""One step of a print job in its caller's transaction, whoever reports it: an agent, CloudPRNT, a
printer over MQTT, or a person."""

from __future__ import annotations

from client_sdk.contract.channel import Channel
from core_api.documents.new_version import next_version
from core_api.edits.plan import Rules
from core_api.edits.reading import Connection
from core_api.errors import ConflictError, NotFoundError
from core_api.printing.definitions import PRINT_DEFINITION
from core_api.printing.jobs import (
    EVER,
    PREFIX,
    Job,
    StepRefusedError,
    StepReport,
    after,
    ends_at,
    job_of,
)
from core_api.printing.statements import count_waiting, epoch_began, lock_document
from core_api.receipts.reached import note_printed
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.writing import write_system_edits


async def step_job(
    connection: Connection,
    rules: Rules,
    printer: Channel,
    job_id: str,
    report: StepReport,
) -> tuple[Job, Job]:
    """The job before and after the step, which is written; twice the same if it changed nothing.

    Args:
        connection: with a transaction that has locked the printer's row (`is_held_by`).
        rules: what holds for all edits.
        printer: its channel.
        job_id: the job.
        report: the step.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the step does not follow.
    """
    key = PREFIX + job_id
    row = await lock_document(connection, str(printer), key)
    head = None if row is None else row.head()
    if row is None or head is None or head.value is None:
        raise NotFoundError(f"there is no print job {job_id} in {printer}")
    before = job_of(job_id, head.value)
    began_at = await epoch_began(connection) if report.step == "take" else EVER
    try:
        job = after(before, report, row.now, began_at)
    except StepRefusedError as error:
        raise ConflictError(f"{report.step} does not follow: {error}") from error
    if job is before:
        return before, job
    made = next_version(head, head.value, job.value, PRINT_DEFINITION, row.now)
    if made is None:
        return before, before
    edit = SystemEdit(printer, key, head, made, ends_at(job, row.now))
    if await write_system_edits(connection, [edit], row.now, rules) == 0:
        raise ConflictError("the job has changed while it was locked")
    await count_waiting(connection, printer.root, printer.part or "")
    if job.state == "done":
        await note_printed(connection, job.order, printer.part or "")
    return before, job
