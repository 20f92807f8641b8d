"""The tables of the ops page."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, SmallInteger, Table, Text

from core_api.postgres.tables.metadata import metadata

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
