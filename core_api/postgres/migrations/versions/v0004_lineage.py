"""The database that the epoch began in."""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0004"
down_revision = "0003"

_COLUMNS = """
ALTER TABLE epoch ADD COLUMN born_in text;
COMMENT ON COLUMN epoch.born_in IS 'the cluster, timeline and database it began in';
"""


def upgrade() -> None:
    """Go forward."""
    run(_COLUMNS)
    op.execute(
        "UPDATE epoch SET born_in = concat_ws('/',"
        " (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT timeline_id FROM pg_control_checkpoint()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("epoch", "born_in")
