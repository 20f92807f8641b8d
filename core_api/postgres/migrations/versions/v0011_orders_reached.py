"""Which device has shown an order to a person, and which printer has printed it.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "orders_reached",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False, comment="seen or printed"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "device", "how", name="pk_orders_reached"),
        comment="Where an order was shown to a person, or came out on paper",
    )
    op.create_index("ix_orders_reached_at", "orders_reached", ["at"])


def downgrade() -> None:
    """Go back; which device has shown what is forgotten."""
    op.drop_table("orders_reached")
