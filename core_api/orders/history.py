"""The history of an order: each of its events with what it changed, and who did it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.json_decoding import decode, decode_any
from client_sdk.contract.order import decode_order
from client_sdk.contract.state.patch import diff
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.text import is_order_id, shown
from core_api.access.callers import Caller
from core_api.errors import NotFoundError
from core_api.orders.answers import visible
from core_api.orders.permissions import check_read
from core_api.orders.reading import read_order
from core_api.postgres.pool import Pool, mapped_errors
from server_common.limits import HISTORY_ENTRIES

# A range of ix_channel_log_order, whose condition stands here word for word.
_EVENTS: Final = """
SELECT order_version, body FROM channel_log
WHERE order_id = $1 AND channel LIKE 'store:%' AND order_version >= $2
ORDER BY order_version LIMIT $3
"""


class OrderHistoryEvent(Struct, frozen=True, omit_defaults=True):
    """One event of an order."""

    version: int
    type: str
    at: datetime
    diff: list[dict[str, Any]]
    """What changed since the version before, as its reader may see it (RFC 6902)."""
    by: str | None = None
    """The subject that did it; left out for tables, and for events from before it was kept."""


class OrderEvents(Struct, frozen=True):
    """The answer of `GET /v1/orders/{id}/events`."""

    events: list[OrderHistoryEvent]
    """In the order of the versions; the first diff makes the whole order, if it is version 1."""
    has_more: bool
    """Whether there are more: ask again with `after` as the last version."""


class _Body(Struct, frozen=True):
    type: str
    occurred_at: datetime
    data: msgspec.Raw
    by: str | UnsetType = UNSET


_decoder: Final = msgspec.json.Decoder(_Body)


class OrderHistory:
    """Reads the histories of orders, as far back as the log is kept.

    Args:
        pool: the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, caller: Caller, order_id: str, after: int) -> OrderEvents:
        """The events of an order after a version, as the caller may see them.

        Args:
            caller: who asks.
            order_id: which order.
            after: the last version that the caller has; 0: all that are kept.

        Raises:
            NotFoundError: no such order for this caller.
            UnavailableError: the database does not answer.
        """
        if not is_order_id(order_id):
            raise NotFoundError(f"there is no order {shown(order_id)} that this token may see")
        views = (await read_order(self._pool, order_id)).views
        if views is None:
            raise NotFoundError(f"there is no order {order_id} that this token may see")
        check_read(caller, decode_order(views.owner))
        with mapped_errors():
            # The event before the first is read too, if there is one, for the difference.
            rows = await self._pool.fetch(_EVENTS, UUID(order_id), after, HISTORY_ENTRIES + 2)
        events = []
        before: Any = MISSING
        for version, body in rows:
            read = decode(_decoder, "{" + body)
            shown_order = visible(caller, decode_order(bytes(read.data)))
            now = decode_any(msgspec.json.encode(shown_order))
            if version > after:
                by = read.by if caller.sees_owner_fields and read.by is not UNSET else None
                events.append(
                    OrderHistoryEvent(version, read.type, read.occurred_at, diff(before, now), by)
                )
            before = now
        return OrderEvents(events[:HISTORY_ENTRIES], len(events) > HISTORY_ENTRIES)
