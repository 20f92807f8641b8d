"""The tables of the ops page."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, Table, Text

from core_api.postgres.tables.metadata import TIME, key, metadata, required

ops_sampling = Table(
    "ops_sampling",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False, comment="always 1"),
    required("owner", Text),
    required("until", TIME),
    comment="Which Core keeps the points of the ops page, and until when",
)

ops_points = Table(
    "ops_points",
    metadata,
    key("at", TIME),
    required("point", Text),
    comment="The figures of the ops page, a point a minute, for a day",
)

ops_acknowledgements = Table(
    "ops_acknowledgements",
    metadata,
    key("alert", Text),
    required("subject", Text, "of the token: who"),
    required("at", TIME),
    Index("ix_ops_acknowledgements_at", "at"),
    comment="Who acknowledged an alert of the ops page last, and when",
)
