"""The tables of the browsers that are told: owners' of new orders, guests' of what is ready."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Table, Text

from core_api.postgres.tables.delivery import delivery_columns
from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    key("store_id", Text),
    key("device", Text, "the browser's own name"),
    required("endpoint", Text, "where its push service takes messages"),
    required("origin", Text, "of the endpoint"),
    required("p256dh", Text, "its public key"),
    required("auth", Text, "what else only it and its page know"),
    required("language", Text),
    required("subject", Text),
    required(
        "token",
        Text,
        "the key by which the owner's token can be revoked; empty: not known",
        default="''",
    ),
    required(
        "session",
        Text,
        "the key by which its session can be revoked; empty: it has none, or not known",
        default="''",
    ),
    required(
        "made_at",
        BigInteger,
        "when its owner signed in, in seconds since 1970; 0: before renewed_at",
        default="0",
    ),
    required("renewed_at", TIME, default="now()"),
    optional("pushed_at", TIME),
    *delivery_columns("it was told of all orders up to here", "it"),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_push_subscriptions_renewed_at", "renewed_at"),
    comment="The owners' browsers that are told of orders which no terminal receives",
)

guest_pushes = Table(
    "guest_pushes",
    metadata,
    key("store_id", Text),
    key("table_id", Text),
    key("device", Text, "the phone's own name"),
    required("endpoint", Text, "where its push service takes messages"),
    required("origin", Text, "of the endpoint"),
    required("p256dh", Text, "its public key"),
    required("auth", Text, "what else only it and its page know"),
    required("language", Text),
    required("subject", Text),
    required("issued_at", BigInteger, "when the guest's token was made, in seconds since 1970"),
    required("expires_at", TIME, "when that token ends"),
    required(
        "token",
        Text,
        "the key by which the guest's token can be revoked; empty: not known",
        default="''",
    ),
    required(
        "session",
        Text,
        "the key by which its session can be revoked; empty: it has none",
        default="''",
    ),
    required(
        "signed_in_at",
        BigInteger,
        "when its guest signed in, in seconds since 1970; 0: when the token was made",
        default="0",
    ),
    required("renewed_at", TIME, default="now()"),
    *delivery_columns("it was told of all orders up to here", "it"),
    CheckConstraint("seq >= 0", name="seq"),
    Index("ix_guest_pushes_renewed_at", "renewed_at"),
    comment="The guests' phones that are told when an order of their table is ready",
)
