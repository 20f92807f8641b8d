"""The tables of registered devices: their messages, and commands to them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from core_api.postgres.tables.metadata import TIME, key, metadata, optional, required

device_registrations = Table(
    "device_registrations",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    required("generation", Integer),
    required("kid", Text, "the key its password comes from"),
    required("media", ARRAY(Text), "what it prints"),
    optional("table_id", Text, "the table whose bell it rings"),
    required("created_at", TIME, default="now()"),
    optional("removed_at", TIME),
    required(
        "change", BigInteger, "grows with each change of any device, in the order of the commits"
    ),
    CheckConstraint("generation >= 1", name="generation"),
    Index("ix_device_registrations_change", "change", unique=True),
    comment="The devices that may connect; a removed one keeps its row and its generation",
)

device_presence = Table(
    "device_presence",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    required("generation", Integer),
    required("connection", Text),
    required("boot", BigInteger),
    required("at", BigInteger, "the device's own clock"),
    required("online", Boolean),
    required("heard_at", TIME),
    required("partition", Integer, "of devices.inbound"),
    Index("ix_device_presence_heard_at", "heard_at", postgresql_where=text("online")),
    postgresql_with={"fillfactor": "50"},
    comment="The newest status of each device, and when it was last heard",
)

device_received = Table(
    "device_received",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    key("generation", Integer),
    key("boot", BigInteger),
    required("floor", BigInteger, "below it nothing is known"),
    required("newest", BigInteger),
    required("missing", ARRAY(BigInteger), "numbers between the two that have not come"),
    postgresql_with={"fillfactor": "50"},
    comment="Which messages of each boot of a device are applied",
)

device_commands = Table(
    "device_commands",
    metadata,
    key("store_id", Text),
    key("device_id", Text),
    key("id", Text),
    required("name", Text),
    required("arguments", Text, "as JSON"),
    required("state", Text),
    required("detail", Text),
    required("asked_by", Text),
    required("created_at", TIME, default="now()"),
    required("expires_at", TIME),
    optional("told_at", TIME, "when its alert was published"),
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
    key("store_id", Text),
    key("device_id", Text),
    required("media_type", Text),
    required("picture", LargeBinary),
    required("sha256", Text),
    required("at", TIME),
    comment="The newest picture of each device",
)
