"""The tables of who has received which orders, and of those that nobody has."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Table, Text, Uuid

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

devices = Table(
    "devices",
    metadata,
    key("store_id", Text),
    key("device", Text),
    required("subject", Text),
    required("mode", Text),
    required("epoch", Text),
    required("applied", BigInteger, "the last seq of the store's channel"),
    required("seen_at", TIME),
    Index("ix_devices_seen_at", "seen_at"),
    comment="What each device of an owner had applied at its last sync",
)

orders_reached = Table(
    "orders_reached",
    metadata,
    key("order_id", Uuid),
    key("device", Text),
    key("how", Text, "seen or printed"),
    required("at", TIME),
    Index("ix_orders_reached_at", "at"),
    comment="Where an order was shown to a person, or came out on paper",
)

unreached = Table(
    "unreached",
    metadata,
    key("order_id", Uuid),
    key("kind", Text),
    required("store_id", Text),
    required("placed_at", TIME),
    optional("told_at", TIME, "when its record was published; null: not yet"),
    comment="Orders that nobody has received or accepted in time",
)
