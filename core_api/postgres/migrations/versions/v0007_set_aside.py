"""Events set aside, leases that notice a clock set back, and when an order was placed by our clock.

Runs while orders are written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core_api.postgres.migrations.locking import alter_at_once

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "outbox_set_aside",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("seqs", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("committed_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_set_aside"),
        comment="Events that Kafka will never take; their clients were told to sync",
    )
    op.add_column(
        "relay_leases",
        sa.Column(
            "renewed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="in the future: the clock was set back, and the lease holds no more",
        ),
    )
    with op.get_context().autocommit_block():
        # A default that is the same for all rows is kept once; no row is written.
        alter_at_once(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS"
            " placed_at timestamptz NOT NULL DEFAULT now()"
        )
        op.execute(
            "COMMENT ON COLUMN orders.placed_at IS"
            " 'by the database''s clock; created_at is by Core''s'"
        )
        op.execute(
            "UPDATE orders SET placed_at = created_at WHERE placed_at > created_at"
            " AND status = 'placed' AND status NOT IN ('rejected', 'paid', 'cancelled')"
        )


def downgrade() -> None:
    """Go back."""
    with op.get_context().autocommit_block():
        alter_at_once("ALTER TABLE orders DROP COLUMN IF EXISTS placed_at")
    op.drop_column("relay_leases", "renewed_at")
    op.drop_table("outbox_set_aside")
