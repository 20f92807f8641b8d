"""What Core answers about print jobs, to agents and to people."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from client_sdk.contract.channel import NAME_FORM, Channel, parse_channel
from client_sdk.contract.errors import ChannelError
from client_sdk.contract.text import TEXT_PATTERN, is_id, shown, whole
from core_api.access.callers import Caller
from core_api.access.reach import may_follow
from core_api.api.answers import json_answer
from core_api.api.gate import Gate
from core_api.api.request_parts import JsonBody
from core_api.errors import BadRequestError, ForbiddenError
from core_api.printing.jobs import MAX_DETAIL, JobState, Step, StepReport
from core_api.printing.presence import PrinterPresence
from core_api.printing.service import PrintService
from core_api.printing.statements import HELD_S
from server_common.limits import DEVICE_TROUBLE_CHARS, DEVICE_TROUBLES, PRINT_STEP_BYTES

_PERSONS_STEPS: Final = ("again", "drop")
Agent = Annotated[str, Meta(pattern=NAME_FORM)]
Detail = Annotated[str, Meta(max_length=MAX_DETAIL, pattern=whole(TEXT_PATTERN))]
Trouble = Annotated[str, Meta(max_length=DEVICE_TROUBLE_CHARS, pattern=whole(TEXT_PATTERN))]


class HoldPrinter(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/printer`: an agent claims the printer, and tells its status."""

    agent: Agent
    """The agent's id, the same for as long as the agent keeps its journal."""
    troubles: Annotated[list[Trouble], Meta(max_length=DEVICE_TROUBLES)] = []
    """What a person should take care of: paper end, cover open."""
    leaving: bool = False
    """Whether the agent stops now, so that another may print at once."""


class Held(Struct, frozen=True):
    """The answer of `POST …/printer`."""

    held_s: float
    """Seconds for which the printer stays the agent's if it does not call again."""


class PrintStep(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST …/prints/{print}`."""

    step: Step
    agent: Agent
    attempt: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    """The number of the attempt to print, as the answer to `take` said."""
    detail: Detail = ""


class PrintState(Struct, frozen=True):
    """A job after a step."""

    state: JobState
    attempts: int
    repeat: bool
    """Whether the paper must say that it may have been printed before."""
    waits: bool
    """Whether it waits for a person."""
    detail: str


HOLD: Final = JsonBody(HoldPrinter, PRINT_STEP_BYTES)
STEP: Final = JsonBody(PrintStep, PRINT_STEP_BYTES)


class PrintApi:
    """The handlers of printing.

    Args:
        prints: takes jobs through their steps.
        presence: stores the status of printers.
        gate: lets callers in.
    """

    def __init__(self, prints: PrintService, presence: PrinterPresence, gate: Gate) -> None:
        self._prints = prints
        self._presence = presence
        self._gate = gate

    async def hold(self, request: Request) -> Response:
        """POST /v1/stores/{id}/devices/{device}/printer.

        Raises:
            BadRequestError: the path names no device.
            ForbiddenError: the caller may not print there.
        """
        caller = self._gate.caller_of(request)
        printer = _printer_of(request)
        _check(caller, printer, "take")
        body = await HOLD.read(request)
        await self._gate.serve(caller, lambda: self._hold(printer, body))
        return json_answer(Held(0.0 if body.leaving else HELD_S))

    async def step(self, request: Request) -> Response:
        """POST /v1/stores/{id}/devices/{device}/prints/{print}.

        Raises:
            BadRequestError: the path names no device, or no print job.
            ForbiddenError: the caller may not take such a step there.
        """
        caller = self._gate.caller_of(request)
        printer = _printer_of(request)
        job_id = request.path_params["print"]
        if not is_id(job_id):
            raise BadRequestError(f"{shown(job_id)} is no print job")
        body = await STEP.read(request)
        _check(caller, printer, body.step)
        report = StepReport(body.step, body.agent, body.attempt, body.detail)
        job = await self._gate.serve(caller, lambda: self._prints.step(printer, job_id, report))
        return json_answer(PrintState(job.state, job.attempts, job.repeat, job.waits, job.detail))

    async def _hold(self, printer: Channel, body: HoldPrinter) -> None:
        if body.leaving:
            await self._prints.let_go(printer, body.agent)
            await self._presence.gone(printer, body.agent)
            return
        await self._prints.hold(printer, body.agent)
        await self._presence.heard(printer, body.agent, body.troubles)


def _printer_of(request: Request) -> Channel:
    names = request.path_params
    try:
        return parse_channel(f"device:{names['id']}/{names['device']}")
    except ChannelError as error:
        raise BadRequestError(str(error), "bad-channel") from error


def _check(caller: Caller, printer: Channel, step: Step) -> None:
    """Check that the caller may take such a step on this printer.

    Raises:
        ForbiddenError: it may not.
    """
    roles = ("owner",) if step in _PERSONS_STEPS else ("owner", "device")
    if caller.role not in roles or not may_follow(caller, printer):
        raise ForbiddenError(f"this token does not permit that on {printer}")
