"""Fetch Sync's rules: what a request means, when a client must start anew, what the answer says.

Pure; the reads stand in `storage/reads.py`, their gathering in `fetch.py`. The rule for promise 3's
server half is `page_of`: events go on exactly after the cursor, or there is a reset and a snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.digest import format_content_digest, format_digest
from client_sdk.contract.sync import ResetReason, StreamGrant
from core_api.log import event_json
from core_api.storage.reads import Moment, OpenOrders, Page
from core_api.sync_request import SnapshotPage


def reset_reason(
    after: int | None, epoch: str | None, moment: Moment, page: Page
) -> ResetReason | None:
    """Why the client's state cannot be carried on from its cursor; None if it can."""
    if after is None:
        return "first_sync"
    if epoch is not None and epoch != moment.epoch:
        return "epoch"
    if after > page.head:
        return "ahead"
    if after < page.floor:
        return "retention"
    return None


class _Snapshot(Struct, frozen=True):
    head: int
    orders: list[msgspec.Raw]
    next: str | UnsetType = UNSET


class _Channel(Struct, frozen=True):
    channel: str
    head: int
    digest: str
    content_digest: str | None
    reset: ResetReason | None
    events: list[msgspec.Raw]
    snapshot: _Snapshot | None
    has_more: bool


class _Answer(Struct, frozen=True):
    epoch: str
    server_time: datetime
    cursor: str
    has_more: bool
    channels: list[_Channel]
    stream: StreamGrant | None
    poll_after_ms: int


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """One channel of the answer, with the seq that the client is at once it has applied it.

    `seq` is None while there are more pages of a snapshot: half of one is no state to go on from.
    """

    wire: _Channel
    seq: int | None


def page_of(channel: str, after: int, page: Page) -> ChannelAnswer:
    """The events that go on exactly after the cursor."""
    seq = page.events[-1][0] if page.events else after
    events = [msgspec.Raw(event_json(channel, s, body).encode()) for s, body in page.events]
    wire = _Channel(
        channel,
        page.head,
        format_digest(page.digest),
        _shown(page.content),
        None,
        events,
        None,
        seq < page.head,
    )
    return ChannelAnswer(wire, seq)


def snapshot_of(channel: str, reason: ResetReason, opened: OpenOrders, epoch: str) -> ChannelAnswer:
    """The state that replaces the client's, or the first page of it."""
    return _page_of_snapshot(channel, reason, opened, opened.head, opened.orders, epoch)


def void_reason(page: SnapshotPage, moment: Moment, opened: OpenOrders) -> ResetReason | None:
    """Why a snapshot that was begun cannot be gone on with; None if it can.

    The events after its head must be there still: they bring what changes between its pages.
    """
    if page.epoch != moment.epoch:
        return "epoch"
    if page.head > opened.head:
        return "ahead"
    if page.head < opened.floor:
        return "retention"
    return None


def next_page_of(page: SnapshotPage, opened: OpenOrders) -> ChannelAnswer:
    """A further page, true at the head of the first.

    Orders with an event after that head are left out: they may look different by now, or be
    there for the first time, and the events that follow the snapshot bring each of them whole.
    """
    orders = [
        order
        for order_id, order in zip(opened.ids, opened.orders, strict=True)
        if order_id not in opened.changed
    ]
    return _page_of_snapshot(str(page.channel), None, opened, page.head, orders, page.epoch)


def _page_of_snapshot(
    channel: str,
    reason: ResetReason | None,
    opened: OpenOrders,
    head: int,
    orders: Sequence[str],
    epoch: str,
) -> ChannelAnswer:
    following = f"{channel}@{head}~{opened.ids[-1]}~{epoch}" if opened.cut else UNSET
    snapshot = _Snapshot(head, [msgspec.Raw(order.encode()) for order in orders], following)
    wire = _Channel(
        channel,
        opened.head,
        format_digest(opened.digest),
        _shown(opened.content),
        reason,
        [],
        snapshot,
        has_more=opened.cut or head < opened.head,
    )
    return ChannelAnswer(wire, None if opened.cut else head)


def _shown(content: int | None) -> str | None:
    return None if content is None else format_content_digest(content)


def cursor_of(channels: Sequence[ChannelAnswer]) -> dict[str, int]:
    """Where the client is once it has applied the answer."""
    return {answer.wire.channel: answer.seq for answer in channels if answer.seq is not None}


def has_more(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether the client should ask again at once."""
    return any(answer.wire.has_more for answer in channels)


def is_news(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether there is anything that the client does not know."""
    return any(answer.wire.events or answer.wire.snapshot for answer in channels)


def encode_answer(
    moment: Moment,
    channels: Sequence[ChannelAnswer],
    stream: StreamGrant | None,
    poll_after_ms: int,
) -> bytes:
    """The answer's body; events and orders are the stored bytes, not encoded again."""
    return msgspec.json.encode(
        _Answer(
            moment.epoch,
            datetime.fromtimestamp(moment.unix_s, UTC),
            format_cursor(cursor_of(channels)),
            has_more(channels),
            [answer.wire for answer in channels],
            stream,
            poll_after_ms,
        )
    )
