"""The tables of sign-ins: codes that let a new tablet in, and who is signed out."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

pairings = Table(
    "pairings",
    metadata,
    key("store_id", Text),
    required("code", LargeBinary, "its SHA-256"),
    required("subject", Text),
    optional("brand", Text),
    required("token", Text, "a hash of the offering token's name"),
    required("session", Text, "a hash of its session's; or empty"),
    required("signed_in_at", BigInteger, "seconds since 1970"),
    required("token_ends_at", BigInteger, "seconds since 1970"),
    required("tries_left", SmallInteger),
    required("ends_at", TIME),
    Index("ix_pairings_ends_at", "ends_at"),
    comment="The code by which a new tablet of the store takes over a sign-in; the last one",
)

revocations = Table(
    "revocations",
    metadata,
    key("kind", Text, "token, session or subject"),
    key("name", Text, "its jti, its sid, or the subject"),
    Column(
        "id",
        BigInteger,
        Identity(always=True),
        nullable=False,
        comment="higher after each change of the row, in the order of the commits",
    ),
    required(
        "before", BigInteger, "of a subject: its tokens of this second since 1970 and earlier"
    ),
    optional("until", TIME, "when the last such token has expired; null: not known"),
    required("made_by", Text),
    required("made_at", TIME, default="now()"),
    optional("told_at", TIME, "when event servers were told; null: not yet"),
    CheckConstraint("kind IN ('token', 'session', 'subject')", name="kind"),
    Index("ix_revocations_id", "id", unique=True),
    Index("ix_revocations_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("ix_revocations_until", "until", postgresql_where=text("until IS NOT NULL")),
    comment="Who is signed out although its token has not expired",
)
