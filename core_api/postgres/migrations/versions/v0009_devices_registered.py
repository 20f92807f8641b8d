"""Devices that an owner has registered: who they are, what they said, what they were told.

Makes tables only, so it runs while everything else is written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

_NOW = sa.text("now()")


def upgrade() -> None:
    """Go forward."""
    _create_registrations()
    _create_presence()
    _create_commands()
    op.create_table(
        "device_snapshots",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "device_id", name="pk_device_snapshots"),
        comment="The newest picture of each device",
    )


def _create_registrations() -> None:
    op.create_table(
        "device_registrations",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False, comment="the key its password comes from"),
        sa.Column("media", postgresql.ARRAY(sa.Text()), nullable=False, comment="what it prints"),
        sa.Column("table_id", sa.Text(), comment="the table whose bell it rings"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column(
            "change",
            sa.BigInteger(),
            nullable=False,
            comment="grows with each change of any device, in the order of the commits",
        ),
        sa.CheckConstraint("generation >= 1", name="ck_device_registrations_generation"),
        sa.PrimaryKeyConstraint("store_id", "device_id", name="pk_device_registrations"),
        comment="The devices that may connect; a removed one keeps its row and its generation",
    )
    op.create_index(
        "ix_device_registrations_change", "device_registrations", ["change"], unique=True
    )


def _create_presence() -> None:
    op.create_table(
        "device_presence",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="the device's own clock"),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False, comment="of devices.inbound"),
        sa.PrimaryKeyConstraint("store_id", "device_id", name="pk_device_presence"),
        comment="The newest status of each device, and when it was last heard",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_device_presence_heard_at",
        "device_presence",
        ["heard_at"],
        postgresql_where=sa.text("online"),
    )
    op.create_table(
        "device_received",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False, comment="below it nothing is known"),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column(
            "missing",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="numbers between the two that have not come",
        ),
        sa.PrimaryKeyConstraint(
            "store_id", "device_id", "generation", "boot", name="pk_device_received"
        ),
        comment="Which messages of each boot of a device are applied",
        postgresql_with={"fillfactor": "50"},
    )


def _create_commands() -> None:
    op.create_table(
        "device_commands",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False, comment="as JSON"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), comment="when its alert was published"),
        sa.PrimaryKeyConstraint("store_id", "device_id", "id", name="pk_device_commands"),
        comment="What devices were asked to do, and their answers",
    )
    op.create_index(
        "ix_device_commands_expires_at",
        "device_commands",
        ["expires_at"],
        postgresql_where=sa.text("state = 'sent'"),
    )
    op.create_index(
        "ix_device_commands_untold",
        "device_commands",
        ["expires_at"],
        postgresql_where=sa.text("state = 'expired' AND told_at IS NULL"),
    )
    op.create_index("ix_device_commands_created_at", "device_commands", ["created_at"])


def downgrade() -> None:
    """Go back; registrations and commands are lost, their documents stay."""
    for table in (
        "device_snapshots",
        "device_commands",
        "device_received",
        "device_presence",
        "device_registrations",
    ):
        op.drop_table(table)
