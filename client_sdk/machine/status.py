"""What a client tells about itself: the lamp on a terminal, and numbers for a log. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from client_sdk.contract.cursor import format_cursor
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import State
from client_sdk.machine.sse_or_websocket import Via

Mode = Literal["starting", "live", "polling", "offline", "closed", "failed"]


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a client."""

    mode: Mode
    """`live`: events are pushed; `polling`: Core is asked, a little later; `offline`: nothing is
    certain now."""
    state: State
    cursor: str
    """What has been taken in."""
    watermark: datetime | None
    """All that Core committed before it has been received, while live."""
    uncertain_for: float | None
    """Seconds since it was last certain to know everything; None: never yet."""
    lag: float | None
    """Seconds that what is known here lies behind Core's clock, as last heard; None: not known."""
    via: Via | None
    """What carries the events while `live`: server-sent events, or a WebSocket."""
    pending: int
    """Changes taken in and not acknowledged."""
    last_error: str | None
    """What fails now: Core, the stream, or else a task of the client's; None: nothing."""


def status_of(machine: Machine, before: Mode, now: float, trouble: str | None = None) -> Status:
    """The status of a client.

    Args:
        machine: the client's.
        before: the mode of its last status, which stays between two streams.
        now: monotonic seconds, by the clock of the machine's inputs.
        trouble: what fails beside the machine; None: nothing.
    """
    failure, certain_at = machine.last_failure, machine.freshness.certain_at
    mode = mode_of(machine, before)
    return Status(
        mode=mode,
        state=machine.state,
        cursor=format_cursor(machine.positions.known),
        watermark=machine.watermark,
        uncertain_for=None if certain_at is None else max(0.0, now - certain_at),
        lag=machine.freshness.lag(now),
        via=machine.via if mode == "live" else None,
        pending=machine.pending,
        last_error=failure.detail if failure else trouble,
    )


def mode_of(machine: Machine, before: Mode) -> Mode:
    """The mode of the machine; `before` is the last one."""
    match machine.state:
        case State.IDLE:
            return "starting"
        case State.CLOSED:
            return "closed"
        case State.FAILED:
            return "failed"
        case State.LIVE:
            return "live"
    if machine.failing:
        return "offline"
    if machine.freshness.certain_at is None:
        return "starting"
    if machine.state is State.POLLING:
        return "polling"
    # Between two streams, as planned: the lamp does not flicker.
    return "polling" if before == "offline" else before
