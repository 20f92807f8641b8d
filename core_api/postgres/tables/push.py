"""The tables of the browsers that are told: owners' of new orders, guests' of what is ready."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    text,
)

from core_api.postgres.tables.delivery import delivery_columns
from core_api.postgres.tables.metadata import NOW, metadata

_EMPTY = text("''")

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
    Column(
        "token",
        Text,
        nullable=False,
        server_default=_EMPTY,
        comment="the key by which the owner's token can be revoked; empty: not known",
    ),
    Column(
        "session",
        Text,
        nullable=False,
        server_default=_EMPTY,
        comment="the key by which its session can be revoked; empty: it has none, or not known",
    ),
    Column(
        "made_at",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="when its owner signed in, in seconds since 1970; 0: before renewed_at",
    ),
    Column("renewed_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("pushed_at", DateTime(timezone=True)),
    *delivery_columns("it was told of all orders up to here", "it"),
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
    Column(
        "token",
        Text,
        nullable=False,
        server_default=_EMPTY,
        comment="the key by which the guest's token can be revoked; empty: not known",
    ),
    Column(
        "session",
        Text,
        nullable=False,
        server_default=_EMPTY,
        comment="the key by which its session can be revoked; empty: it has none",
    ),
    Column(
        "signed_in_at",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="when its guest signed in, in seconds since 1970; 0: when the token was made",
    ),
    Column("renewed_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    *delivery_columns("it was told of all orders up to here", "it"),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_guest_pushes_renewed_at", "renewed_at"),
    comment="The guests' phones that are told when an order of their table is ready",
)
