"""The tables of sign-ins: codes that let a new tablet in, and who is signed out."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from core_api.postgres.tables.metadata import NOW, metadata

pairings = Table(
    "pairings",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("code", LargeBinary, nullable=False, comment="its SHA-256"),
    Column("subject", Text, nullable=False),
    Column("brand", Text),
    Column("token", Text, nullable=False, comment="a hash of the offering token's name"),
    Column("session", Text, nullable=False, comment="a hash of its session's; or empty"),
    Column("signed_in_at", BigInteger, nullable=False, comment="seconds since 1970"),
    Column("token_ends_at", BigInteger, nullable=False, comment="seconds since 1970"),
    Column("tries_left", SmallInteger, nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("ix_pairings_ends_at", "ends_at"),
    comment="The code by which a new tablet of the store takes over a sign-in; the last one",
)

revocations = Table(
    "revocations",
    metadata,
    Column("kind", Text, primary_key=True, comment="token, session or subject"),
    Column("name", Text, primary_key=True, comment="its jti, its sid, or the subject"),
    Column(
        "id",
        BigInteger,
        Identity(always=True),
        nullable=False,
        comment="higher after each change of the row, in the order of the commits",
    ),
    Column(
        "before",
        BigInteger,
        nullable=False,
        comment="of a subject: its tokens of this second since 1970 and earlier",
    ),
    Column(
        "until",
        DateTime(timezone=True),
        comment="when the last such token has expired; null: not known",
    ),
    Column("made_by", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column(
        "told_at", DateTime(timezone=True), comment="when event servers were told; null: not yet"
    ),
    CheckConstraint("kind IN ('token', 'session', 'subject')", name="kind"),
    Index("ix_revocations_id", "id", unique=True),
    Index("ix_revocations_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("ix_revocations_until", "until", postgresql_where=text("until IS NOT NULL")),
    comment="Who is signed out although its token has not expired",
)
