"""What the ops page remembers: a day of points, which Core takes them, who has acknowledged what.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "ops_sampling",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ops_sampling"),
        comment="Which Core keeps the points of the ops page, and until when",
    )
    op.create_table(
        "ops_points",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("at", name="pk_ops_points"),
        comment="The figures of the ops page, a point a minute, for a day",
    )
    op.create_table(
        "ops_acknowledgements",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="of the token: who"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("alert", name="pk_ops_acknowledgements"),
        comment="Who acknowledged an alert of the ops page last, and when",
    )
    op.create_index("ix_ops_acknowledgements_at", "ops_acknowledgements", ["at"])


def downgrade() -> None:
    """Go back; the day and all acknowledgements are forgotten."""
    op.drop_table("ops_acknowledgements")
    op.drop_table("ops_points")
    op.drop_table("ops_sampling")
