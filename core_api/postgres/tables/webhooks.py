"""The tables of webhooks, and how far each store's log was sent to each of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.delivery import delivery_columns
from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

webhooks = Table(
    "webhooks",
    metadata,
    key("id", Text),
    required("url", Text),
    required("types", ARRAY(Text), "which events; empty: all"),
    required("generation", Integer, "of the secret"),
    required("kid", Text, "the key that the secret comes from"),
    required("state", Text, default="'active'"),
    required("made_by", Text),
    required("made_at", TIME, default="now()"),
    CheckConstraint("state IN ('active', 'disabled', 'ended')", name="state"),
    CheckConstraint("generation >= 1", name="generation"),
    Index("ix_webhooks_made_by", "made_by"),
    comment="The URLs that orders are sent to",
)

webhook_old_secrets = Table(
    "webhook_old_secrets",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    key("generation", Integer),
    required("kid", Text, "the key that the secret comes from"),
    required("until", TIME, "until when it signs, too"),
    comment="The secrets of webhooks that were rotated and still sign",
)

webhook_lanes = Table(
    "webhook_lanes",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    key("store_id", Text),
    *delivery_columns("the last event that needs no sending", "the lane"),
    optional("parked_at", TIME),
    optional("delivered_at", TIME),
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
    key("store_id", Text),
    key("epoch", Text),
    key("seq", BigInteger),
    required("failure", Text),
    required("at", TIME, default="now()"),
    comment="Events that a receiver refused for an hour while it took others",
)
