"""The tables of webhooks, and how far each store's log was sent to each of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.delivery import delivery_columns
from core_api.postgres.tables.metadata import NOW, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False, comment="which events; empty: all"),
    Column("generation", Integer, nullable=False, comment="of the secret"),
    Column("kid", Text, nullable=False, comment="the key that the secret comes from"),
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("made_by", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    CheckConstraint("state IN ('active', 'disabled', 'ended')", name="state"),
    CheckConstraint("generation >= 1", name="generation"),
    Index("ix_webhooks_made_by", "made_by"),
    comment="The URLs that orders are sent to",
)

webhook_old_secrets = Table(
    "webhook_old_secrets",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("kid", Text, nullable=False, comment="the key that the secret comes from"),
    Column("until", DateTime(timezone=True), nullable=False, comment="until when it signs, too"),
    comment="The secrets of webhooks that were rotated and still sign",
)

webhook_lanes = Table(
    "webhook_lanes",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("store_id", Text, primary_key=True),
    *delivery_columns("the last event that needs no sending", "the lane"),
    Column("parked_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_webhook_lanes_store_id", "store_id"),
    # Each event delivered updates this row in place.
    postgresql_with={"fillfactor": "50"},
    comment="How far each store's log was sent to each URL",
)

webhook_set_aside = Table(
    "webhook_set_aside",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("store_id", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("failure", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=NOW),
    comment="Events that a receiver refused for an hour while it took others",
)
