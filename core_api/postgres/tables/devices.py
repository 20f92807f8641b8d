"""The tables of registered devices: what they say, and what they are told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.metadata import NOW, metadata

device_registrations = Table(
    "device_registrations",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("kid", Text, nullable=False, comment="the key its password comes from"),
    Column("media", ARRAY(Text), nullable=False, comment="what it prints"),
    Column("table_id", Text, comment="the table whose bell it rings"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("removed_at", DateTime(timezone=True)),
    Column(
        "change",
        BigInteger,
        nullable=False,
        comment="grows with each change of any device, in the order of the commits",
    ),
    CheckConstraint("generation >= 1", name="generation"),
    Index("ix_device_registrations_change", "change", unique=True),
    comment="The devices that may connect; a removed one keeps its row and its generation",
)

device_presence = Table(
    "device_presence",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("connection", Text, nullable=False),
    Column("boot", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False, comment="the device's own clock"),
    Column("online", Boolean, nullable=False),
    Column("heard_at", DateTime(timezone=True), nullable=False),
    Column("partition", Integer, nullable=False, comment="of devices.inbound"),
    Index("ix_device_presence_heard_at", "heard_at", postgresql_where=text("online")),
    postgresql_with={"fillfactor": "50"},
    comment="The newest status of each device, and when it was last heard",
)

device_received = Table(
    "device_received",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("boot", BigInteger, primary_key=True),
    Column("floor", BigInteger, nullable=False, comment="below it nothing is known"),
    Column("newest", BigInteger, nullable=False),
    Column(
        "missing",
        ARRAY(BigInteger),
        nullable=False,
        comment="numbers between the two that have not come",
    ),
    postgresql_with={"fillfactor": "50"},
    comment="Which messages of each boot of a device are applied",
)

device_commands = Table(
    "device_commands",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("arguments", Text, nullable=False, comment="as JSON"),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=NOW),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("told_at", DateTime(timezone=True), comment="when its alert was published"),
    Index("ix_device_commands_expires_at", "expires_at", postgresql_where=text("state = 'sent'")),
    Index(
        "ix_device_commands_untold",
        "expires_at",
        postgresql_where=text("state = 'expired' AND told_at IS NULL"),
    ),
    Index("ix_device_commands_created_at", "created_at"),
    comment="What devices were asked to do, and their answers",
)

device_snapshots = Table(
    "device_snapshots",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("picture", LargeBinary, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    comment="The newest picture of each device",
)
