"""Star printers: whether they poll when they are called, or take their jobs over MQTT.

Adds a column with a constant default, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "star_printers",
        sa.Column(
            "mode",
            sa.Text(),
            nullable=False,
            server_default=sa.text("'trigger'"),
            comment="trigger: it polls when it is called; full: it takes its jobs over MQTT",
        ),
    )


def downgrade() -> None:
    """Go back; printers that take their jobs over MQTT are called in vain until they ask for their
    settings again."""
    op.drop_column("star_printers", "mode")
