"""How one command becomes rows: the rule for promises 1, 2 and 7 on the writing side.

Pure: from an order before and after it computes what the one writing statement needs
(`writing.py`): the channels in sorted order, what each may see, the change of each digest,
and the JSON that the log keeps and every path forwards unchanged. What it stores as the order's
view is the very text that the event carries, so the state before is hashed from the stored text:
another version of Core may have written it, with other fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from client_sdk.contract.channel import Channel, event_id
from client_sdk.contract.digest import EMPTY, content_hash, hash_of, order_hash
from client_sdk.contract.order import Order
from core_api.orders.lifecycle import OrderChange, table_view

# In UTF-8 no character's bytes stand inside another's, and such characters stand only in strings.
_LINE_ENDS: Final = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one channel gets: its event's JSON without id and seq, and its digest's change."""

    channel: str
    body: str
    digest_delta: int
    """XORed onto the channel's older digest; signed 64 bits, as Postgres holds it."""
    content_delta: int
    """XORed onto the channel's content digest; 128 bits."""


@dataclass(frozen=True, slots=True)
class Views:
    """One order's JSON as it is stored and sent: to its store, and to its table if it has one."""

    owner: str
    table: str | None


@dataclass(frozen=True, slots=True)
class LogWrite:
    """One command's rows."""

    change: OrderChange
    owner_view: str
    owner_bytes: int
    """The length of `owner_view` in UTF-8."""
    table_view: str | None
    entries: tuple[Entry, ...]
    """Sorted by channel: the order in which the counter rows are locked."""


class _Body(Struct, frozen=True):
    type: str
    occurred_at: datetime
    order_id: str
    order_version: int
    data: msgspec.Raw


def compose(change: OrderChange, before: Views | None) -> LogWrite:
    """The rows of one change, in the store's channel and, if the order has a table, in its too.

    Args:
        change: what happens to the order.
        before: its stored views before the change; None: it is new.

    Raises:
        ValueError: the views before are missing, or those of a new order are there.
    """
    if (change.before is None) != (before is None):
        raise ValueError("an order that is changed has views before it, a new one has none")
    order = change.after
    owner = one_line(msgspec.json.encode(order))
    delta = _signed(_hash_if_open(change.before) ^ _hash_if_open(order))
    content = _content_delta(change, before.owner if before else None, order)
    entries = [Entry(str(Channel("store", order.store_id)), _body(change, owner), delta, content)]
    table: bytes | None = None
    if order.table_id is not None:
        shown = table_view(order)
        table = one_line(msgspec.json.encode(shown))
        content = _content_delta(change, before.table if before else None, shown)
        name = str(Channel("table", order.store_id, order.table_id))
        entries.append(Entry(name, _body(change, table), delta, content))
    entries.sort(key=lambda entry: entry.channel)
    text = table.decode() if table else None
    return LogWrite(change, owner.decode(), len(owner), text, tuple(entries))


def one_line(view: bytes) -> bytes:
    """The same JSON without U+2028, U+2029 and U+0085, which some readers take for line ends."""
    for raw, escaped in _LINE_ENDS:
        if raw in view:
            view = view.replace(raw, escaped)
    return view


def event_json(channel: str, seq: int, body: str) -> str:
    """The whole event of a log row; the relay's statement builds the same text in SQL."""
    return f'{{"id":"{event_id(channel, seq)}","seq":{seq},{body}'


def _body(change: OrderChange, view: bytes) -> str:
    order = change.after
    body = _Body(change.type, order.updated_at, order.id, order.version, msgspec.Raw(view))
    return msgspec.json.encode(body)[1:].decode()


def _hash_if_open(order: Order | None) -> int:
    return order_hash(order.id, order.version) if order is not None and order.is_open else EMPTY


def _content_delta(change: OrderChange, before: str | None, after: Order) -> int:
    delta = EMPTY
    if change.before is not None and change.before.is_open and before is not None:
        delta ^= content_hash(before)
    return delta ^ hash_of(after) if after.is_open else delta


def _signed(digest: int) -> int:
    return digest - (1 << 64) if digest >> 63 else digest
