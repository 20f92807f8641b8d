"""Where orders were shown to a person or came out on paper, in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from client_sdk.contract.channel import Channel
from core_api.errors import NotFoundError
from core_api.postgres.pool import Pool, mapped_errors
from core_api.postgres.trim_around_damage import trim_by_age
from core_api.receipts.holders import (
    SEEN_WITHIN_S,
    Holder,
    OrderDevices,
    OrderPrinter,
    PrintSeen,
    holding,
    printers_of,
)

if TYPE_CHECKING:
    from core_api.edits.reading import Connection

_EVERY_STORE: Final = "*"

# The first time is kept. Orders of other stores, and unknown ones, are left out.
_SAW: Final = """
INSERT INTO orders_reached (order_id, device, how, at)
SELECT o.id, $2, 'seen', now() FROM orders o
WHERE o.id = ANY($1::uuid[]) AND (o.store_id = ANY($3::text[]) OR $4)
ORDER BY o.id
ON CONFLICT DO NOTHING
"""
_KNOWN: Final = """
SELECT count(*) FROM orders o
WHERE o.id = ANY($1::uuid[]) AND (o.store_id = ANY($2::text[]) OR $3)
"""

# The newest printout counts: a changed order is printed again.
_PRINTED: Final = """
INSERT INTO orders_reached (order_id, device, how, at)
VALUES ($1::uuid, $2, 'printed', now())
ON CONFLICT (order_id, device, how) DO UPDATE SET at = excluded.at
"""

_HOLDERS: Final = """
SELECT d.device, d.subject, d.mode, d.seen_at,
    CASE WHEN d.epoch = e.epoch THEN d.applied ELSE 0 END AS applied, l.seq, r.at AS shown_at
FROM devices d CROSS JOIN epoch e
LEFT JOIN channel_log l ON l.channel = $2 AND l.order_id = $3::uuid AND l.order_version = 1
LEFT JOIN orders_reached r ON r.order_id = $3::uuid AND r.device = d.device AND r.how = 'seen'
WHERE d.store_id = $1 AND d.seen_at > now() - make_interval(secs => $4::float8)
ORDER BY d.seen_at DESC, d.device LIMIT $5
"""

# For each printer of the store a range of its channel: its jobs of this order.
_PRINTERS: Final = """
SELECT p.device_id, (d.value::jsonb)->>'state' AS state, (d.value::jsonb)->>'waits' AS waits,
    r.at AS printed_at
FROM printers p
LEFT JOIN documents d ON d.channel = 'device:' || p.store_id || '/' || p.device_id
    AND d.key >= 'print.' || $2::text || '-' AND d.key < 'print.' || $2::text || '.'
    AND d.value IS NOT NULL
LEFT JOIN orders_reached r
    ON r.order_id = ($2::text)::uuid AND r.device = p.device_id AND r.how = 'printed'
WHERE p.store_id = $1 AND (d.key IS NOT NULL OR r.at IS NOT NULL)
"""


class Reached:
    """Which devices and printers have an order.

    Args:
        pool: the database.
        limit: devices that one answer lists at most.
    """

    def __init__(self, pool: Pool, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    async def saw(self, stores: Collection[str], device: str, orders: Sequence[str]) -> int:
        """Store that a device has shown these orders. Returns how many of them it has shown by now.

        Args:
            stores: those that its token names; `*` stands for all.
            device: its name.
            orders: ids; orders of other stores are ignored.

        Raises:
            NotFoundError: none of them is an order of these stores.
            UnavailableError: Postgres does not answer.
        """
        named, all_ = list(stores), _EVERY_STORE in stores
        with mapped_errors():
            await self._pool.execute(_SAW, orders, device, named, all_)
            known: int = await self._pool.fetchval(_KNOWN, orders, named, all_)
        if not known:
            raise NotFoundError("none of these is an order that this token may see")
        return known

    async def of(self, store_id: str, order_id: str) -> OrderDevices:
        """The devices of a store that were seen of late, and its printers that have the order.

        Raises:
            UnavailableError: Postgres does not answer.
        """
        return OrderDevices(
            await self._holders(store_id, order_id), await self._printers(store_id, order_id)
        )

    async def _holders(self, store_id: str, order_id: str) -> list[Holder]:
        channel = str(Channel("store", store_id, None))
        with mapped_errors():
            rows = await self._pool.fetch(
                _HOLDERS, store_id, channel, order_id, SEEN_WITHIN_S, self._limit
            )
        return [
            Holder(
                row["device"],
                row["subject"],
                holding(row["mode"], row["applied"], row["seq"], row["shown_at"]),
                row["mode"],
                row["seen_at"],
                row["shown_at"],
            )
            for row in rows
        ]

    async def _printers(self, store_id: str, order_id: str) -> list[OrderPrinter]:
        with mapped_errors():
            rows = await self._pool.fetch(_PRINTERS, store_id, order_id)
        return printers_of(
            PrintSeen(row["device_id"], row["state"], row["waits"] == "true", row["printed_at"])
            for row in rows
        )


async def note_printed(connection: Connection, order_id: str, device_id: str) -> None:
    """Store that a printer has printed an order, in the transaction of that step.

    Args:
        connection: with the transaction of that step.
        order_id: which order.
        device_id: the printer.
    """
    await connection.fetch(_PRINTED, order_id, device_id)


trim_reached: Final = trim_by_age("orders_reached", "order_id, device, how", "at")
"""Deletes records of what was shown or printed long ago."""
