"""The tables of orders, and of the keys by which each command is applied once.

Written by one statement for many commands (`orders/writing.py`) and read by shared statements
(`sync/reading.py`), both on asyncpg.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from core_api.postgres.tables.metadata import NOW, metadata

_OPEN = text("status NOT IN ('rejected', 'paid', 'cancelled')")

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("store_id", Text, nullable=False),
    Column("table_id", Text),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("reference", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column(
        "placed_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=NOW,
        comment="by the database's clock; created_at is by Core's",
    ),
    Column("owner_view", Text, nullable=False, comment="the whole order as JSON"),
    Column("table_view", Text, comment="what its table may see; null without a table"),
    Column("placed_by", Text, comment="the subject; null on orders from before this column"),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("total >= 0", name="total"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("(table_id IS NULL) = (table_view IS NULL)", name="table_view"),
    # Snapshots read the open orders of a store or of one table, by id and in pages; both indexes
    # stay small because closed orders, which are nearly all of them, are not in them.
    Index("ix_orders_open_store", "store_id", "id", postgresql_where=_OPEN),
    Index("ix_orders_open_table", "store_id", "table_id", "id", postgresql_where=_OPEN),
    comment="The current state of each order",
)

order_items = Table(
    "order_items",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    CheckConstraint("quantity >= 1", name="quantity"),
    CheckConstraint("unit_price >= 0", name="unit_price"),
    comment="The lines of each order, for questions asked in SQL",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Index("ix_idempotency_keys_created_at", "created_at"),
    comment="The answer of each write that named a key, kept for its retries",
)
