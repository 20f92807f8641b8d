"""Targets for text: channels, event ids, cursors, tickets, and what a sync asks for."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from client_sdk.contract.channel import MAX_SEQ, event_id, parse_channel, parse_event_id, parse_seq
from client_sdk.contract.cursor import MAX_CHANNELS, format_cursor, parse_cursor
from client_sdk.contract.device import MAX_PENDING, format_device, parse_device
from client_sdk.contract.errors import ChannelError, CursorError, DeviceError, TicketError
from client_sdk.contract.sync import MAX_LIMIT, MAX_ORDERS, MAX_WAIT_S
from core_api.errors import BadRequestError
from core_api.orders.idempotency import parse_key
from core_api.sync.request import SyncRequest, parse_sync
from server_common.access.tickets import Ticket, TicketKeys
from server_common.http.query_string import parse_query

KEYS: Final = TicketKeys({"a": b"k" * 32, "b": b"o" * 32}, "a")
NOW: Final = 1_000.0
TICKETS: Final = {
    KEYS.sign(Ticket(f"E{number}", cursor, NOW - 1, NOW + 29, f"owner-{number}"))
    for number, cursor in enumerate(({"store:12": 482}, {"store:13": 0, "table:13/5": 7}))
}


def names(data: bytes) -> None:
    """What is parsed is written again as it was, and only our own errors are raised."""
    for text in (data.decode("latin-1"), data.decode("utf-8", "replace")):
        with suppress(ChannelError):
            channel = parse_channel(text)
            assert str(channel) == text
            assert text.isascii()
        with suppress(CursorError):
            assert 0 <= parse_seq(text) <= MAX_SEQ
            assert text.isascii()
        with suppress(CursorError):
            name, seq = parse_event_id(text)
            assert str(parse_channel(name)) == name
            assert parse_event_id(event_id(name, seq)) == (name, seq)
        with suppress(CursorError):
            cursor = parse_cursor(text)
            assert len(cursor) <= MAX_CHANNELS
            assert all(0 <= seq <= MAX_SEQ for seq in cursor.values())
            assert parse_cursor(format_cursor(cursor)) == cursor


def ticket(data: bytes) -> None:
    """No text is a valid ticket except those that were signed."""
    text = data.decode("latin-1")
    if text in TICKETS:
        assert KEYS.verify(text, NOW).subject.startswith("owner-")
        return
    try:
        found = KEYS.verify(text, NOW)
    except TicketError:
        return
    raise AssertionError(f"this is taken for a ticket: {found}")


def sync_query(data: bytes) -> None:
    """The query of `GET /v1/sync` is refused, or asks within the limits."""
    try:
        request = parse_sync(parse_query(data.decode("latin-1"), "replace"))
    except BadRequestError:
        return
    hold(request)


def hold(request: SyncRequest) -> None:
    """Check a request against its limits."""
    assert 1 <= len(request.after) <= MAX_CHANNELS
    assert all(seq is None or 0 <= seq <= MAX_SEQ for seq in request.after.values())
    assert 1 <= request.limit <= MAX_LIMIT
    assert 0 <= request.wait_s <= MAX_WAIT_S
    assert request.orders is None or 1 <= request.orders <= MAX_ORDERS
    asked = request.queries()
    assert [str(channel) for channel in request.after] == [query.channel for query in asked]
    if request.page is not None:
        assert list(request.after) == [request.page.channel]


def headers(data: bytes) -> None:
    """The headers of a device and of an idempotent write."""
    text = data.decode("latin-1")
    with suppress(DeviceError):
        report = parse_device(text)
        assert parse_device(format_device(report)).device == report.device
        assert report.device.isascii()
        assert min(report.pending, MAX_PENDING) >= 0
    with suppress(BadRequestError):
        key = parse_key(text)
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key
        assert 1 <= len(key) <= 255
