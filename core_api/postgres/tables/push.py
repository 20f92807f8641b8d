"""The table of the browsers that are told of orders which no terminal receives."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
)

from core_api.postgres.tables.delivery import delivery_columns
from core_api.postgres.tables.metadata import NOW, metadata

push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device", Text, primary_key=True, comment="the browser's own name"),
    Column("endpoint", Text, nullable=False, comment="where its push service takes messages"),
    Column("origin", Text, nullable=False, comment="of the endpoint"),
    Column("p256dh", Text, nullable=False, comment="its public key"),
    Column("auth", Text, nullable=False, comment="what else only it and its page know"),
    Column("language", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("renewed_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("pushed_at", DateTime(timezone=True)),
    *delivery_columns("it was told of all orders up to here", "it"),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_push_subscriptions_renewed_at", "renewed_at"),
    comment="The owners' browsers that are told of orders which no terminal receives",
)
