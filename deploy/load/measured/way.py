"""Divides the time from when a step is due until clients have it into parts. Pure.

All times are by the clock of one machine. Kafka's record says when Postgres began to write the
step, and to a millisecond when the relay read it. The load test measures the other times.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from deploy.load.measured.timeline import percentiles

OrderStep = tuple[str, int]
"""An order's reference, and the version that the step gave it."""

NAMES: Final = (
    "due, until it is sent",
    "sent, until Postgres begins to write it",
    "begun, until Core has answered",
    "begun, until the relay has read it",
    "read, until a client has it",
)


class StoredTimes(NamedTuple):
    """The times of a step from Kafka's record, in seconds since the Unix epoch."""

    begun: float
    read: float


@dataclass(slots=True)
class Times:
    """The times that the load test itself measures, in monotonic seconds."""

    due: dict[OrderStep, float] = field(default_factory=dict)
    sent: dict[OrderStep, float] = field(default_factory=dict)
    answered: dict[OrderStep, float] = field(default_factory=dict)
    seen: list[tuple[OrderStep, float]] = field(default_factory=list)
    """Each time a client received a step."""


@dataclass(frozen=True, slots=True)
class Part:
    """The durations of one part, in milliseconds."""

    name: str
    p50: float
    p99: float


def parts(
    times: Times,
    stored: Mapping[OrderStep, StoredTimes],
    unix_at_0: float,
    troubled: Sequence[tuple[float, float]],
) -> list[Part]:
    """The duration of each part, outside of faults.

    Args:
        times: the times of all steps.
        stored: the times from Kafka's records; steps without a record are left out.
        unix_at_0: the Unix time at which the monotonic clock showed 0.
        troubled: the begin and the end of each fault, by the monotonic clock; steps that were due
            between them are left out.
    """
    found = [array("d") for _ in NAMES]
    calm = {
        step: StoredTimes(at.begun - unix_at_0, at.read - unix_at_0)
        for step, at in stored.items()
        if step in times.sent
        and not any(start <= times.due[step] <= end for start, end in troubled)
    }
    for step, at in calm.items():
        sent = times.sent[step]
        found[0].append(sent - times.due[step])
        found[1].append(at.begun - sent)
        if step in times.answered:
            found[2].append(times.answered[step] - at.begun)
        found[3].append(at.read - at.begun)
    found[4].extend(_from_read(times.seen, calm))
    return [
        Part(name, *(1000 * (percentiles(values) or (0.0, 0.0, 0.0))[n] for n in (0, 2)))
        for name, values in zip(NAMES, found, strict=True)
    ]


def _from_read(
    seen: Iterable[tuple[OrderStep, float]], calm: Mapping[OrderStep, StoredTimes]
) -> Iterable[float]:
    for step, at in seen:
        if (stored := calm.get(step)) is not None:
            yield at - stored.read
