"""Orders, events and sync answers for tests. The builders fill in what a test does not need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from client_sdk.contract.channel import event_id, parse_channel
from client_sdk.contract.cursor import format_cursor
from client_sdk.contract.digest import EMPTY, format_digest, order_hash
from client_sdk.contract.order import Item, Order, OrderEvent, OrderStatus
from client_sdk.contract.sync import (
    ChannelSync,
    ResetReason,
    Snapshot,
    StreamGrant,
    SyncResponse,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EPOCH = "01M7Y0RVFX7GQRHXE522T5TA8A"
GRANT = StreamGrant("http://events/v1/stream", "ticket", 30.0)


def order(
    order_id: str, version: int = 1, status: OrderStatus = "placed", table: str = "5"
) -> Order:
    return Order(
        id=order_id,
        store_id="12",
        table_id=table,
        status=status,
        version=version,
        currency="KRW",
        items=[Item("Bibimbap", 1, 9500)],
        total=9500,
        note="",
        reference=None,
        reason=None,
        created_at=NOW,
        updated_at=NOW,
    )


def event(seq: int, of: Order | None = None, channel: str = "store:12") -> OrderEvent:
    data = of or order(f"order-{seq}")
    return OrderEvent(
        event_id(channel, seq), seq, f"order.{data.status}", NOW, data.id, data.version, data
    )


def digest_of(orders: Sequence[Order]) -> str:
    total = EMPTY
    for one in orders:
        if one.is_open:
            total ^= order_hash(one.id, one.version)
    return format_digest(total)


def channel_sync(
    events: Sequence[OrderEvent] = (),
    *,
    channel: str = "store:12",
    head: int | None = None,
    digest: str | None = None,
    reset: ResetReason | None = None,
    snapshot: Snapshot | None = None,
    has_more: bool = False,
) -> ChannelSync:
    parse_channel(channel)
    newest = events[-1].seq if events else (snapshot.head if snapshot else 0)
    return ChannelSync(
        channel,
        newest if head is None else head,
        digest if digest is not None else digest_of([e.data for e in events]),
        reset,
        list(events),
        snapshot,
        has_more,
    )


def sync_response(
    *channels: ChannelSync,
    epoch: str = EPOCH,
    stream: StreamGrant | None = GRANT,
    poll_after_ms: int = 3000,
) -> SyncResponse:
    more = any(channel.has_more for channel in channels)
    cursor = {
        c.channel: c.events[-1].seq if c.events else (c.snapshot.head if c.snapshot else c.head)
        for c in channels
    }
    return SyncResponse(
        epoch,
        NOW,
        format_cursor(cursor),
        more,
        list(channels),
        None if more else stream,
        poll_after_ms,
    )
