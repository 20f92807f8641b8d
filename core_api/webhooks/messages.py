"""What a webhook says, and the steps by which a receiver is brought up to date. Pure.

The body is `{type, timestamp, epoch, data}`. `data` is the event as every client gets it. A message
is the same in each attempt: its id comes from the epoch, the event and its time, so a receiver can
drop what it has already. The time is there for a database that was restored in place: until a new
epoch has begun, it gives seqs to other events that receivers have seen already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from core_api.event_log.lines import event_json

Reason = Literal["retention", "unreadable", "epoch"]
GAP: Final = "webhook.gap"
"""The type of the message that says that something will not come."""


class Gap(Struct, frozen=True):
    """`data` of `webhook.gap`: of this channel no event after `after` up to `until` will come."""

    channel: str
    after: int
    until: int
    reason: Reason
    """`retention`: the log reaches back no further; `unreadable`: the database cannot give it;
    `epoch`: a new log has begun, and what was sent of the old one may not be in it."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent."""

    id: str
    """No `.` stands in it: the signed text is `id.timestamp.body`."""
    type: str
    body: str


class LogRow(NamedTuple):
    """An event of the log."""

    seq: int
    type: str
    occurred_at: datetime
    body: str | None
    """None: the subscription does not want its type."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """What comes behind a lane's place, as one statement has read it."""

    epoch: str
    head: int
    at: datetime
    """By the database's clock."""
    rows: Sequence[LogRow]
    is_damaged: bool = False
    """Whether the database cannot give the first event."""


class LaneStep(NamedTuple):
    """One step of a lane."""

    seq: int
    """Its place once the step is taken."""
    message: WebhookMessage | None
    """What is sent first; None: nothing, the event is not wanted."""


def steps_of(channel: str, epoch: str, seq: int, page: LogPage) -> list[LaneStep]:
    """The next steps of a lane, in order.

    Args:
        channel: of its store.
        epoch: of the log that it was at.
        seq: its place.
        page: what comes behind it.
    """
    steps = []
    if epoch != page.epoch or page.head < seq:
        seq = min(seq, page.head)
        steps.append(_gap(channel, seq, seq, "epoch", page))
    for row in page.rows:
        if row.seq <= seq:
            continue
        if row.seq > seq + 1:
            steps.append(_gap(channel, seq, row.seq - 1, "retention", page))
        steps.append(_step(channel, row, page))
        seq = row.seq
    # Where the place is the head, what cannot be read is no event.
    if page.is_damaged and seq < page.head:
        steps.append(_gap(channel, seq, seq + 1, "unreadable", page))
    elif not page.rows and seq < page.head:
        steps.append(_gap(channel, seq, page.head, "retention", page))
    return steps


def _step(channel: str, row: LogRow, page: LogPage) -> LaneStep:
    if row.body is None:
        return LaneStep(row.seq, None)
    data = event_json(channel, row.seq, row.body)
    try:
        _any.decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _gap(channel, row.seq - 1, row.seq, "unreadable", page)
    message_id = f"{_id_of(page.epoch, channel, row.seq)}/{_microseconds(row.occurred_at)}"
    return LaneStep(row.seq, _message(message_id, row.type, row.occurred_at, page.epoch, data))


def _gap(channel: str, after: int, until: int, reason: Reason, page: LogPage) -> LaneStep:
    data = msgspec.json.encode(Gap(channel, after, until, reason)).decode()
    message_id = f"{_id_of(page.epoch, channel, until)}/{reason}"
    return LaneStep(until, _message(message_id, GAP, page.at, page.epoch, data))


def _id_of(epoch: str, channel: str, seq: int) -> str:
    # A store may have a dot in its name, and no name has a tilde.
    return f"{epoch}/{channel}@{seq}".replace(".", "~")


def _microseconds(at: datetime) -> int:
    return (at - _UNIX_EPOCH) // timedelta(microseconds=1)


def _message(message_id: str, type_: str, at: datetime, epoch: str, data: str) -> WebhookMessage:
    head = msgspec.json.encode(_Head(type_, at, epoch)).decode()
    return WebhookMessage(message_id, type_, f'{head[:-1]},"data":{data}}}')


class _Head(Struct, frozen=True):
    type: str
    timestamp: datetime
    epoch: str


_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_any: Final = msgspec.json.Decoder(msgspec.Raw)
