"""Which device has shown an order to a person, and which printer has printed it; the printers that
are called over MQTT.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


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
    op.create_table(
        "star_printers",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column(
            "rung_at",
            sa.DateTime(timezone=True),
            comment="when it was called last; null: it is to be called now",
        ),
        sa.PrimaryKeyConstraint("store_id", "device_id", name="pk_star_printers"),
        sa.UniqueConstraint("mac", name="uq_star_printers_mac"),
        comment="The Star printers that are called over MQTT",
        postgresql_with={"fillfactor": "50"},
    )


def downgrade() -> None:
    """Go back; which device has shown what is forgotten, and Star printers poll again."""
    op.drop_table("star_printers")
    op.drop_table("orders_reached")
