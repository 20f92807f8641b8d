"""How one command becomes rows: the rule for promises 1, 2 and 7 on the writing side.

Pure: from an order before and after it computes what the one writing statement needs
(`writing_statement.py`): the channels, what each may see, the change of each digest and of what is
open, and the JSON that the log keeps and every path forwards unchanged. The stored view of an order
is the very text that the event carries. So the state before is hashed from the stored text: another
version of Core may have written it, with other fields.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import EMPTY, content_hash, hash_of, order_hash
from client_sdk.contract.order import Order
from core_api.event_log.lines import one_line
from core_api.orders.lifecycle import OrderChange, table_view

_MAX_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 2048
"""In characters: together with `_MAX_KNOWN` at most 8 MiB for most scripts."""


class ChannelEntry(Struct, frozen=True):
    """What one channel gets: its event's JSON without id and seq, and its digest's change."""

    channel: str
    body: str
    digest_delta: int
    """XORed onto the channel's older digest; signed 64 bits, as Postgres holds it."""
    content_delta: int
    """XORed onto the channel's content digest; 128 bits."""
    open_bytes: int
    """What is added to the bytes of the channel's open orders; may be negative."""


class Views(Struct, frozen=True):
    """One order's JSON as it is stored and sent: to its store, and to its table if it has one."""

    owner: str
    table: str | None


class LogWrite(Struct, frozen=True):
    """One command's rows."""

    change: OrderChange
    owner_view: str
    owner_bytes: int
    """The length of `owner_view` in UTF-8."""
    table_view: str | None
    entries: tuple[ChannelEntry, ...]
    """The store's, and its table's if it has one."""
    opened: int
    """How many open orders there are more: 1, 0 or -1."""


class _Body(Struct, frozen=True, omit_defaults=True):
    type: str
    occurred_at: datetime
    order_id: str
    order_version: int
    data: msgspec.Raw
    by: str | UnsetType = UNSET
    """The subject that did it; in the store's channel only."""


def log_write_of(
    change: OrderChange, before: Views | None, by: str | UnsetType = UNSET
) -> LogWrite:
    """The rows of one change, in the store's channel and, if the order has a table, in its too.

    Args:
        change: what happens to the order.
        before: its stored views before the change; None: it is new.
        by: the subject that does it.

    Raises:
        ValueError: the views before are missing, or those of a new order are there.
    """
    if (change.before is None) != (before is None):
        raise ValueError("an order that is changed has views before it, a new one has none")
    order = change.after
    owner = one_line(msgspec.json.encode(order))
    delta = _signed(_hash_if_open(change.before) ^ _hash_if_open(order))
    owner_text = owner.decode()
    was_open = change.before is not None and change.before.is_open
    before_bytes = len(before.owner.encode()) if before is not None and was_open else 0
    entries = [
        ChannelEntry(
            str(Channel("store", order.store_id)),
            _body(change, owner, by),
            delta,
            _content_delta(change, before.owner if before else None, order, owner_text),
            (len(owner) if order.is_open else 0) - before_bytes,
        )
    ]
    text: str | None = None
    if order.table_id is not None:
        shown = table_view(order)
        table = one_line(msgspec.json.encode(shown))
        text = table.decode()
        old = before.table if before else None
        before_bytes = len(old.encode()) if old is not None and was_open else 0
        entries.append(
            ChannelEntry(
                str(Channel("table", order.store_id, order.table_id)),
                _body(change, table),
                delta,
                _content_delta(change, old, shown, text),
                (len(table) if order.is_open else 0) - before_bytes,
            )
        )
    opened = int(order.is_open) - int(was_open)
    return LogWrite(change, owner_text, len(owner), text, tuple(entries), opened)


def _body(change: OrderChange, view: bytes, by: str | UnsetType = UNSET) -> str:
    order = change.after
    body = _Body(change.type, order.updated_at, order.id, order.version, msgspec.Raw(view), by)
    return msgspec.json.encode(body)[1:].decode()


def _hash_if_open(order: Order | None) -> int:
    return order_hash(order.id, order.version) if order is not None and order.is_open else EMPTY


class _Hashes:
    """The content hashes of views that were composed here lately.

    A view is read once more, by the order's next step, and mostly in the same process. Reading its
    JSON again would cost more than all else that composing does.
    """

    def __init__(self) -> None:
        # A plain dict would look past all places that were deleted to find its first one.
        self._known: OrderedDict[str, int] = OrderedDict()

    def keep(self, view: str, content: int) -> None:
        """Note the hash of a view that is written now."""
        if len(view) > _LONGEST_KNOWN:
            return
        self._known[view] = content
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def of(self, view: str) -> int:
        """The hash of a view that is replaced now."""
        content = self._known.pop(view, None)
        return content_hash(view) if content is None else content


_hashes: Final = _Hashes()


def _content_delta(change: OrderChange, before: str | None, after: Order, view: str) -> int:
    delta = EMPTY
    if change.before is not None and change.before.is_open and before is not None:
        delta ^= _hashes.of(before)
    if after.is_open:
        content = hash_of(after)
        _hashes.keep(view, content)
        delta ^= content
    return delta


def _signed(digest: int) -> int:
    return digest - (1 << 64) if digest >> 63 else digest
