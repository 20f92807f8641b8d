"""The tables of who has received which orders, and of those that nobody has."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, Uuid

from core_api.postgres.tables.metadata import metadata

devices = Table(
    "devices",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("applied", BigInteger, nullable=False, comment="the last seq of the store's channel"),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("ix_devices_seen_at", "seen_at"),
    comment="What each device of an owner had applied at its last sync",
)

orders_reached = Table(
    "orders_reached",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("how", Text, primary_key=True, comment="seen or printed"),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_orders_reached_at", "at"),
    comment="Where an order was shown to a person, or came out on paper",
)

unreached = Table(
    "unreached",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("store_id", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column(
        "told_at",
        DateTime(timezone=True),
        comment="when its record was published; null: not yet",
    ),
    comment="Orders that nobody has received or accepted in time",
)
