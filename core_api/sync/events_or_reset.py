"""The events that a sync brings, or the reset and snapshot if the client cannot continue.

Pure; the reads are in `reading.py`, their batching in `service.py`. The rule for promise 3
(contiguous) in Core is `page_of`: events go on exactly after the cursor, or there is a reset and a
snapshot. How the answer is encoded stands here, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.channel import carries_documents
from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.digest import format_content_digest, format_digest
from client_sdk.contract.sync import ResetReason, StreamGrant
from core_api.event_log.lines import event_json
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery, SnapshotQuery
from core_api.sync.request import SnapshotPage

_BEFORE_ALL: Final = UUID(int=0)
"""No order has this id: a page after it begins with the first."""


def reset_reason(
    after: int | None, epoch: str | None, moment: Moment, page: Page
) -> ResetReason | None:
    """Why the client must be reset; None if it can continue from its cursor.

    Args:
        after: the seq that the client has applied; None: it begins anew.
        epoch: the one that the client names; None: it names none.
        moment: when the channel was read, and in which epoch.
        page: the channel.
    """
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
    documents: list[msgspec.Raw] | UnsetType = UNSET


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


class ChannelAnswer(Struct, frozen=True):
    """One channel of the answer, with the seq that the client is at once it has applied it.

    `seq` is None while there are more pages of a snapshot: a part of one is not a valid state.
    """

    wire: _Channel
    seq: int | None


def page_of(channel: str, after: int, page: Page) -> ChannelAnswer:
    """The events that follow the cursor without a gap.

    Args:
        channel: its name.
        after: the seq that the client has applied; the log has all events after it.
        page: the channel, with events from the next seq on.
    """
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
    """The state that replaces the client's, or the first page of it.

    Args:
        channel: its name.
        reason: why the client is reset.
        opened: the open orders, or the documents, or the first of them.
        epoch: of the log; the request for the next page names it.
    """
    head = opened.head if opened.true_at is None else opened.true_at
    return _page_of_snapshot(channel, reason, opened, head, opened.orders, epoch)


def void_reason(page: SnapshotPage, moment: Moment, opened: OpenOrders) -> ResetReason | None:
    """Why a paged snapshot cannot continue; None if it can.

    The events after its head must still be in the log: they have the changes between its pages.

    Args:
        page: where the client's next page begins.
        moment: when it was read, and in which epoch.
        opened: the channel as it was read.
    """
    if page.epoch != moment.epoch:
        return "epoch"
    if page.head > opened.head:
        return "ahead"
    if page.head < opened.floor:
        return "retention"
    return None


def next_page_of(page: SnapshotPage, opened: OpenOrders) -> ChannelAnswer:
    """A further page, valid at the head of the first.

    Orders with an event after that head are left out: they may have changed, or be new, and the
    events that follow the snapshot bring each of them whole.
    """
    orders = [
        order
        for order_id, order in zip(opened.ids, opened.orders, strict=True)
        if order_id not in opened.changed
    ]
    return _page_of_snapshot(str(page.channel), None, opened, page.head, orders, page.epoch)


def joined(begun: OpenOrders, more: OpenOrders) -> OpenOrders:
    """A snapshot with its further page, which was read later; valid at the head of the first."""
    orders = [o for n, o in zip(more.ids, more.orders, strict=True) if n not in more.changed]
    return dataclasses.replace(
        more,
        orders=[*begun.orders, *orders],
        ids=more.ids or begun.ids,
        true_at=begun.head if begun.true_at is None else begun.true_at,
    )


def is_short(query: PageQuery, page: Page) -> bool:
    """Whether the page ended for lack of room alone."""
    after = query.after
    if not page.floor <= after < page.head:
        return False
    given = page.events[-1][0] if page.events else after
    return given < min(after + query.limit, page.head)


def is_snapshot_short(query: SnapshotQuery, opened: OpenOrders) -> bool:
    """Whether the page of the snapshot ended for lack of room alone."""
    return opened.cut and len(opened.ids) < query.most


def fitting_pages(pages: Sequence[Page], room: int) -> Sequence[Page]:
    """The pages that fit an answer together, the smallest first; the others are left for the next.

    At least one event of each channel is read; where many channels have large events, that is more
    than there is room for.
    """
    if len(pages) == 1:
        return pages  # the smallest always fits
    sizes = [page.size for page in pages]
    if sum(sizes) <= room:
        return pages
    kept = _fitting(sizes, room)
    return [p if n in kept else msgspec.structs.replace(p, events=()) for n, p in enumerate(pages)]


def fitting_snapshots(opened: Sequence[OpenOrders], room: int) -> list[OpenOrders]:
    """Pages of snapshots cut to `room` bytes: one left without orders continues from its first."""
    kept = _fitting([page.size for page in opened], room)
    return [
        o if n in kept else dataclasses.replace(o, orders=(), ids=(), cut=True)
        for n, o in enumerate(opened)
    ]


def _fitting(sizes: Sequence[int], room: int) -> set[int]:
    """The indices of the items that fit together. The smallest always fits, as do those of size
    0."""
    kept: set[int] = set()
    gets_on = False
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        room -= sizes[place]
        if gets_on and room < 0:
            break
        kept.add(place)
        gets_on = sizes[place] > 0
    return kept


def _page_of_snapshot(
    channel: str,
    reason: ResetReason | None,
    opened: OpenOrders,
    head: int,
    orders: Sequence[str],
    epoch: str,
) -> ChannelAnswer:
    last = last_of(opened) or _BEFORE_ALL
    following = f"{channel}@{head}~{last}~{epoch}" if opened.cut else UNSET
    items = [msgspec.Raw(order.encode()) for order in orders]
    if carries_documents(channel):
        snapshot = _Snapshot(head, [], following, items)
    else:
        snapshot = _Snapshot(head, items, following)
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


def last_of(opened: OpenOrders) -> UUID | None:
    """The order that the next page begins after; None: with the first. Documents have one page."""
    last = opened.ids[-1] if opened.ids else None
    return last if isinstance(last, UUID) else None


def _shown(content: int | None) -> str | None:
    return None if content is None else format_content_digest(content)


def cursor_of(channels: Sequence[ChannelAnswer]) -> dict[str, int]:
    """The client's cursor once it has applied the answer."""
    return {answer.wire.channel: answer.seq for answer in channels if answer.seq is not None}


def has_more(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether the client should ask again at once."""
    return any(answer.wire.has_more for answer in channels)


def is_news(channels: Sequence[ChannelAnswer]) -> bool:
    """Whether the answer has anything new for the client."""
    return any(answer.wire.events or answer.wire.snapshot for answer in channels)


def encode_answer(
    moment: Moment,
    channels: Sequence[ChannelAnswer],
    stream: StreamGrant | None,
    poll_after_ms: int,
) -> bytes:
    """The answer's body; events and orders are the stored bytes, not encoded again.

    Args:
        moment: when it was read, for `epoch` and `server_time`.
        channels: those of the request that can be read.
        stream: permission to open a stream; None: the client has to poll.
        poll_after_ms: when a client that polls asks again, in milliseconds.
    """
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
