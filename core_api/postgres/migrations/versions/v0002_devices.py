"""Devices, and the orders that reach nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "devices",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column(
            "applied",
            sa.BigInteger(),
            nullable=False,
            comment="the last seq of the store's channel",
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("store_id", "device", name="pk_devices"),
        comment="What each device of an owner had applied at its last sync",
    )
    op.create_index("ix_devices_seen_at", "devices", ["seen_at"])
    op.create_table(
        "unreached",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its record was published; null: not yet",
        ),
        sa.PrimaryKeyConstraint("order_id", "kind", name="pk_unreached"),
        comment="Orders that nobody has received or accepted in time",
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("unreached")
    op.drop_index("ix_devices_seen_at", "devices")
    op.drop_table("devices")
