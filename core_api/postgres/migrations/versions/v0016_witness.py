"""How far the database has come, by which a promoted standby is judged.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0016"
down_revision = "0015"

_TABLES = """
CREATE TABLE epoch_witness (
    singleton integer NOT NULL DEFAULT 1,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    replicated boolean NOT NULL,
    CONSTRAINT pk_epoch_witness PRIMARY KEY (singleton),
    CONSTRAINT ck_epoch_witness_singleton CHECK (singleton = 1)
);
COMMENT ON TABLE epoch_witness IS
    'How far the database has come: what a promoted standby is judged by';
COMMENT ON COLUMN epoch_witness.at IS 'when a relay looked';
COMMENT ON COLUMN epoch_witness.until IS 'until when relays may publish on the strength of it';
COMMENT ON COLUMN epoch_witness.replicated IS 'whether each commit waited for a standby';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back."""
    op.drop_table("epoch_witness")
