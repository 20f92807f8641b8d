"""Star printers: whether they poll when they are called, or take their jobs over MQTT.

Adds a column with a constant default, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0023"
down_revision = "0022"

_COLUMNS = """
ALTER TABLE star_printers ADD COLUMN mode text NOT NULL DEFAULT 'trigger';
COMMENT ON COLUMN star_printers.mode IS
    'trigger: it polls when it is called; full: it takes its jobs over MQTT';
"""


def upgrade() -> None:
    """Go forward."""
    run(_COLUMNS)


def downgrade() -> None:
    """Go back; printers that take their jobs over MQTT are called in vain until they ask for their
    settings again."""
    op.drop_column("star_printers", "mode")
