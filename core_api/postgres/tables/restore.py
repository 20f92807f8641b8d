"""The tables by which a database that has gone back is found out."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Integer, Table, Text, text

from core_api.postgres.tables.metadata import NOW, metadata

epoch = Table(
    "epoch",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    Column("epoch", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("born_in", Text, comment="the cluster, timeline and database it began in"),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="The lifetime of the log; a restore starts a new one",
)

epoch_witness = Table(
    "epoch_witness",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    Column("at", DateTime(timezone=True), nullable=False, comment="when a relay looked"),
    Column(
        "until",
        DateTime(timezone=True),
        nullable=False,
        comment="until when relays may publish on the strength of it",
    ),
    Column(
        "replicated", Boolean, nullable=False, comment="whether each commit waited for a standby"
    ),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="How far the database has come: what a promoted standby is judged by",
)
