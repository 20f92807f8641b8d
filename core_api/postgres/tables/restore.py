"""The tables by which a restore of the database is detected."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, Integer, Table, Text, text

from core_api.postgres.tables.metadata import TIME, metadata, optional, required

epoch = Table(
    "epoch",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    required("epoch", Text),
    required("started_at", TIME, default="now()"),
    optional("born_in", Text, "the cluster, timeline and database it began in"),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="The lifetime of the log; a restore starts a new one",
)

epoch_witness = Table(
    "epoch_witness",
    metadata,
    Column("singleton", Integer, primary_key=True, server_default=text("1")),
    required("at", TIME, "when a relay looked"),
    required("until", TIME, "until when relays may publish on the strength of it"),
    required("replicated", Boolean, "whether each commit waited for a standby"),
    CheckConstraint("singleton = 1", name="singleton"),
    comment="How far the database has come: what a promoted standby is judged by",
)
