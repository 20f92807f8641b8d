"""The database that the epoch began in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "epoch",
        sa.Column("born_in", sa.Text(), comment="the cluster, timeline and database it began in"),
    )
    op.execute(
        "UPDATE epoch SET born_in = concat_ws('/',"
        " (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT timeline_id FROM pg_control_checkpoint()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("epoch", "born_in")
