"""The tables of orders, and of the keys by which each command is applied once.

Written by one statement for many commands (`orders/writing.py`) and read by shared statements
(`sync/reading.py`), both on asyncpg.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
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

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

_OPEN = text("status NOT IN ('rejected', 'paid', 'cancelled')")

orders = Table(
    "orders",
    metadata,
    key("id", Uuid),
    required("store_id", Text),
    optional("table_id", Text),
    required("status", Text),
    required("version", Integer),
    required("currency", Text),
    required("total", BigInteger),
    required("note", Text),
    optional("reference", Text),
    required("created_at", TIME),
    required("updated_at", TIME),
    required(
        "placed_at", TIME, "by the database's clock; created_at is by Core's", default="now()"
    ),
    required("owner_view", Text, "the whole order as JSON"),
    optional("table_view", Text, "what its table may see; null without a table"),
    optional("placed_by", Text, "the subject; null on orders from before this column"),
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
    key("line", SmallInteger),
    required("name", Text),
    required("quantity", Integer),
    required("unit_price", BigInteger),
    required("note", Text),
    CheckConstraint("quantity >= 1", name="quantity"),
    CheckConstraint("unit_price >= 0", name="unit_price"),
    comment="The lines of each order, for questions asked in SQL",
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    key("subject", Text),
    key("key", Text),
    required("request_hash", LargeBinary),
    required("status", SmallInteger),
    required("order_id", Uuid),
    required("body", Text),
    required("created_at", TIME, default="now()"),
    Index("ix_idempotency_keys_created_at", "created_at"),
    comment="The answer of each write that named a key, kept for its retries",
)
