"""A follower that only syncs, and checks every answer against the rules of the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.digest import format_digest, order_hash
from client_sdk.contract.order import Order
from client_sdk.contract.sync import ChannelSync, SyncResponse, decode_sync
from tests.integration.core_service import CoreService

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass
class Follower:
    """The smallest possible client: a cursor, the open orders, and the rules of the protocol."""

    headers: dict[str, str]
    channels: tuple[str, ...]
    cursor: str = ""
    epoch: str = ""
    orders: dict[str, dict[str, Order]] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)
    resets: list[str] = field(default_factory=list)
    compared: int = 0

    async def sync(self, core: CoreService, limit: int) -> bool:
        """Make one sync. Returns whether there is more."""
        parameters: dict[str, Any] = {"channel": self.channels, "limit": limit}
        if self.cursor:
            parameters |= {"lastEventId": self.cursor, "epoch": self.epoch}
        response = await core.client.get("/v1/sync", params=parameters, headers=self.headers)
        assert response.status_code == 200, response.text
        return self.take(decode_sync(response.content))

    def take(self, answer: SyncResponse) -> bool:
        """Apply a whole answer. Returns whether there is more."""
        assert sorted(channel.channel for channel in answer.channels) == sorted(self.channels)
        for channel in answer.channels:
            self.apply(channel)
        self.cursor, self.epoch = answer.cursor, answer.epoch
        assert parse_cursor(self.cursor) == self.seqs
        return answer.has_more

    def apply(self, answer: ChannelSync) -> None:
        name = answer.channel
        if answer.reset is not None:
            assert answer.snapshot is not None
            self.resets.append(answer.reset)
            self.orders[name] = {order.id: order for order in answer.snapshot.orders}
            self.seqs[name] = answer.snapshot.head
        for event in answer.events:
            assert event.seq == self.seqs[name] + 1, "an event is missing, doubled or out of order"
            assert event.id == f"{name}@{event.seq}"
            assert parse_channel(name).store_id == event.data.store_id, "another store's event"
            self.seqs[name] = event.seq
            self.orders[name].pop(event.order_id, None)
            if event.data.is_open:
                self.orders[name][event.order_id] = event.data
        if self.seqs[name] == answer.head:
            digest = 0
            for order in self.orders[name].values():
                digest ^= order_hash(order.id, order.version)
            assert format_digest(digest) == answer.digest, "the orders are not those of the digest"
            self.compared += 1


async def open_orders(db: Database, store: str, channel: str) -> dict[str, int]:
    """The versions of a channel's open orders, straight from the table."""
    table = channel.partition("/")[2] or None
    rows = await db.fetch(
        "SELECT id, version FROM orders WHERE store_id = $1 AND ($2::text IS NULL OR table_id = $2)"
        " AND status NOT IN ('rejected', 'paid', 'cancelled')",
        store,
        table,
    )
    return {str(row["id"]): row["version"] for row in rows}
