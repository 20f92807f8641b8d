"""The tables of printers: how far each has its jobs, who holds it, and which are called."""

from __future__ import annotations

from sqlalchemy import BigInteger, Table, Text, UniqueConstraint

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

printers = Table(
    "printers",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    optional(
        "seq",
        BigInteger,
        "of the store's log: its jobs are made up to here; null: it prints nothing",
    ),
    optional("waiting_since", TIME, "since when a job of it is not printed; null: none waits"),
    optional("agent", Text, "which agent holds it"),
    optional("held_until", TIME),
    postgresql_with={"fillfactor": "50"},
    comment="The printers that stores print on",
)

star_printers = Table(
    "star_printers",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    required("mac", Text),
    optional("rung_at", TIME, "when it was called last; null: it is to be called now"),
    required(
        "mode",
        Text,
        "trigger: it polls when it is called; full: it takes its jobs over MQTT",
        default="'trigger'",
    ),
    UniqueConstraint("mac", name="uq_star_printers_mac"),
    postgresql_with={"fillfactor": "50"},
    comment="The Star printers that are called over MQTT",
)
