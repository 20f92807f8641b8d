"""How far the database has come, by which a promoted standby is judged.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "epoch_witness",
        sa.Column("singleton", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="when a relay looked"),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="until when relays may publish on the strength of it",
        ),
        sa.Column(
            "replicated",
            sa.Boolean(),
            nullable=False,
            comment="whether each commit waited for a standby",
        ),
        sa.PrimaryKeyConstraint("singleton", name="pk_epoch_witness"),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_epoch_witness_singleton")),
        comment="How far the database has come: what a promoted standby is judged by",
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("epoch_witness")
