"""Tables of who operates it: who is signed out, the ops page; in the metadata of `tables.py`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    text,
)

from core_api.postgres.tables import metadata

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
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column(
        "told_at", DateTime(timezone=True), comment="when event servers were told; null: not yet"
    ),
    CheckConstraint("kind IN ('token', 'session', 'subject')", name="kind"),
    Index("ix_revocations_id", "id", unique=True),
    Index("ix_revocations_untold", "id", postgresql_where=text("told_at IS NULL")),
    Index("ix_revocations_until", "until", postgresql_where=text("until IS NOT NULL")),
    comment="Who is signed out although its token has not expired",
)

ops_sampling = Table(
    "ops_sampling",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="always 1"),
    Column("owner", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    comment="Which Core keeps the points of the ops page, and until when",
)

ops_points = Table(
    "ops_points",
    metadata,
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("point", Text, nullable=False),
    comment="The figures of the ops page, a point a minute, for a day",
)

ops_acknowledgements = Table(
    "ops_acknowledgements",
    metadata,
    Column("alert", Text, primary_key=True),
    Column("subject", Text, nullable=False, comment="of the token: who"),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_ops_acknowledgements_at", "at"),
    comment="Who acknowledged an alert of the ops page last, and when",
)
