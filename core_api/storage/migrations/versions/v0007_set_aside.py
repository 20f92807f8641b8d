"""Events set aside, leases that notice a clock set back, and when an order was placed by our clock.

Runs while orders are written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Who waits for a lock of a whole table keeps all others from that table who come later. So nobody
# waits for long: it is tried until it is had at once.
_ALTER = """
DO $$
BEGIN
    LOOP
        BEGIN
            SET LOCAL lock_timeout = '200ms';
            {statement};
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.5);
        END;
    END LOOP;
END $$
"""


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
        _alter("orders ADD COLUMN IF NOT EXISTS placed_at timestamptz NOT NULL DEFAULT now()")
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
        _alter("orders DROP COLUMN IF EXISTS placed_at")
    op.drop_column("relay_leases", "renewed_at")
    op.drop_table("outbox_set_aside")


def _alter(change: str) -> None:
    op.execute(_ALTER.format(statement=f"ALTER TABLE {change}"))
