"""Results of print jobs over MQTT, applied in the transaction that counts the message.

An agent takes a job, prints it and reports the result, as over HTTP; it names itself and the
attempt. A printer without an agent gets its jobs as they come, and reports the results.
"""

from __future__ import annotations

from typing import Final

from core_api.devices.applying import Printed
from core_api.edits.plan import Rules
from core_api.edits.reading import Connection
from core_api.errors import ConflictError, NotFoundError
from core_api.printing.jobs import PREFIX, Job, Step, StepReport, job_of
from core_api.printing.statements import (
    HELD_S,
    has_earlier_job,
    hold_printer,
    is_held_by,
    is_job,
    lock_document,
)
from core_api.printing.stepping import step_job
from server_common.devices.identity import Identity
from server_common.devices.messages import PrintAnswer, Result
from server_common.logs import get_logger

_log = get_logger()

NAMELESS: Final = "mqtt"
"""The agent of printers that name none."""
_GONE: Final = PrintAnswer("gone")
_HELD: Final = PrintAnswer("held")
_EARLIER: Final = PrintAnswer("earlier")
_STEPS: Final[dict[str, Step]] = {
    "taken": "take",
    "done": "done",
    "failed": "fail",
    "doubtful": "doubt",
}


class PrintResults:
    """Applies the messages of printers about their jobs.

    Args:
        rules: what holds for all edits.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    async def take(
        self, connection: Connection, identity: Identity, result: Result
    ) -> Printed | None:
        """Apply a printer's message about a job.

        A step that does not follow changes nothing: the answer says how the job stands.

        Args:
            connection: with the transaction in which the message is counted.
            identity: the printer that has sent it.
            result: the message; `id` is the job's.

        Returns:
            The answer to the printer, and the channel of a changed job; None: there is no job of
            this name.
        """
        printer = identity.channel
        if not await is_job(connection, str(printer), PREFIX + result.id):
            return None
        agent = result.agent or NAMELESS
        is_taken = result.outcome == "taken" or result.agent is None
        place = (identity.store, identity.device)
        if is_taken and not await hold_printer(connection, *place, agent, HELD_S):
            return Printed(_HELD, ())
        # The printer's row is locked before its documents: a repeated `hold` locks nothing.
        await is_held_by(connection, *place, agent)
        row = await lock_document(connection, str(printer), PREFIX + result.id)
        head = None if row is None else row.head()
        if head is None or head.value is None:
            return Printed(_GONE, ())
        job, has_changed = job_of(result.id, head.value), False
        if result.outcome == "taken" and await has_earlier_job(
            connection, str(printer), job.seq, job.copy
        ):
            return Printed(_EARLIER, ())
        steps: list[Step] = [_STEPS[result.outcome]]
        if result.agent is None and job.is_ready and result.outcome != "taken":
            steps.insert(0, "take")
        for step in steps:
            attempt = job.attempts if result.attempt is None else result.attempt
            report = StepReport(step, agent, attempt, result.detail)
            try:
                before, job = await step_job(connection, self._rules, printer, result.id, report)
            except (ConflictError, NotFoundError) as error:
                _log.info("print_result_skipped", printer=str(printer), reason=str(error))
                break
            has_changed = has_changed or job is not before
        _log.info("print_job", printer=str(printer), job=result.id, state=job.state)
        return Printed(_answer(job, agent), [str(printer)] if has_changed else ())


def _answer(job: Job, agent: str) -> PrintAnswer:
    if job.state == "sent" and job.agent != agent:
        return _HELD
    return PrintAnswer(job.state, job.attempts, job.repeat)
