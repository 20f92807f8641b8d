"""The tables of webhooks and of pushes, beside those of `tables.py` and in the same metadata."""

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

from core_api.postgres.tables import metadata

_NOW = text("now()")

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
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
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
    Column("epoch", Text, nullable=False, comment="of the log that seq is of"),
    Column("seq", BigInteger, nullable=False, comment="the last event that needs no sending"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", DateTime(timezone=True), comment="null: the last attempt succeeded"),
    Column("failure", Text, comment="what the last attempt came to"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("held_until", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column(
        "fence",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="one up whenever somebody else decides on the lane",
    ),
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
    Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    comment="Events that a receiver refused for an hour while it took others",
)

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
    Column("renewed_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("epoch", Text, nullable=False, comment="of the log that seq is of"),
    Column("seq", BigInteger, nullable=False, comment="it was told of all orders up to here"),
    Column("pushed_at", DateTime(timezone=True)),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", DateTime(timezone=True), comment="null: the last attempt succeeded"),
    Column("failure", Text, comment="what the last attempt came to"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("held_until", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column(
        "fence",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="one up whenever somebody else decides on it",
    ),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_push_subscriptions_renewed_at", "renewed_at"),
    comment="The owners' browsers that are told of orders which no terminal receives",
)

guest_pushes = Table(
    "guest_pushes",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("table_id", Text, primary_key=True),
    Column("device", Text, primary_key=True, comment="the phone's own name"),
    Column("endpoint", Text, nullable=False, comment="where its push service takes messages"),
    Column("origin", Text, nullable=False, comment="of the endpoint"),
    Column("p256dh", Text, nullable=False, comment="its public key"),
    Column("auth", Text, nullable=False, comment="what else only it and its page know"),
    Column("language", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column(
        "issued_at",
        BigInteger,
        nullable=False,
        comment="when the guest's token was made, in seconds since 1970",
    ),
    Column("expires_at", DateTime(timezone=True), nullable=False, comment="when that token ends"),
    Column("renewed_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("epoch", Text, nullable=False, comment="of the log that seq is of"),
    Column("seq", BigInteger, nullable=False, comment="it was told of all orders up to here"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("failing_since", DateTime(timezone=True), comment="null: the last attempt succeeded"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("held_until", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column(
        "fence",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="one up whenever somebody else decides on it",
    ),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_guest_pushes_renewed_at", "renewed_at"),
    comment="The guests' phones that are told when an order of their table is ready",
)
