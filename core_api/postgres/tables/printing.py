"""The tables of printers: how far each has its jobs, who holds it, and which are called."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, UniqueConstraint, text

from core_api.postgres.tables.metadata import metadata

printers = Table(
    "printers",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column(
        "seq",
        BigInteger,
        comment="of the store's log: its jobs are made up to here; null: it prints nothing",
    ),
    Column(
        "waiting_since",
        DateTime(timezone=True),
        comment="since when a job of it is not printed; null: none waits",
    ),
    Column("agent", Text, comment="which agent holds it"),
    Column("held_until", DateTime(timezone=True)),
    postgresql_with={"fillfactor": "50"},
    comment="The printers that stores print on",
)

star_printers = Table(
    "star_printers",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("mac", Text, nullable=False),
    Column(
        "rung_at",
        DateTime(timezone=True),
        comment="when it was called last; null: it is to be called now",
    ),
    Column(
        "mode",
        Text,
        nullable=False,
        server_default=text("'trigger'"),
        comment="trigger: it polls when it is called; full: it takes its jobs over MQTT",
    ),
    UniqueConstraint("mac", name="uq_star_printers_mac"),
    postgresql_with={"fillfactor": "50"},
    comment="The Star printers that are called over MQTT",
)
