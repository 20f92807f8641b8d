"""The messages of a webhook, and the steps that bring a receiver up to date. Pure.

The body is `{type, timestamp, epoch, data}`. `data` is the event as every client gets it. A message
is the same in each attempt: its id comes from the epoch, the event and its time, so a receiver can
drop duplicates. The time is part of it because a database that was restored in place assigns known
seqs to other events until a new epoch has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from client_sdk.contract.json_decoding import decode
from core_api.event_log.lines import event_json

Reason = Literal["retention", "unreadable", "epoch"]
GAP: Final = "webhook.gap"
"""The type of the message that announces missing events."""


class Gap(Struct, frozen=True):
    """`data` of `webhook.gap`: of this channel no event after `after` up to `until` will come."""

    channel: str
    after: int
    until: int
    reason: Reason
    """`retention`: the log does not reach back that far; `unreadable`: the database cannot read it;
    `epoch`: a new epoch has begun, and events sent before may not be in its log."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent."""

    id: str
    """It has no `.`, as the signed text is `id.timestamp.body`."""
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
    """The events after a lane's place, as one statement has read them."""

    epoch: str
    head: int
    at: datetime
    """By the database's clock."""
    rows: Sequence[LogRow]
    is_damaged: bool = False
    """Whether the database cannot read the first event."""


class LaneStep(NamedTuple):
    """One step of a lane."""

    seq: int
    """Its place once the step is taken."""
    message: WebhookMessage | None
    """The message to send first; None: the event is not wanted."""


def steps_of(channel: str, epoch: str, seq: int, page: LogPage) -> list[LaneStep]:
    """The next steps of a lane, in order.

    Args:
        channel: of its store.
        epoch: of the log that it was at.
        seq: its place.
        page: the events after it.
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
    # If the place is the head, the unreadable row is not an event.
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
        decode(_any, data)
    except msgspec.DecodeError:
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
