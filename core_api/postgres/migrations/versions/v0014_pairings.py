"""Codes by which new tablets are let in.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0014"
down_revision = "0013"

_TABLES = """
CREATE TABLE pairings (
    store_id text NOT NULL,
    code bytea NOT NULL,
    subject text NOT NULL,
    brand text,
    token text NOT NULL,
    session text NOT NULL,
    signed_in_at bigint NOT NULL,
    token_ends_at bigint NOT NULL,
    tries_left smallint NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT pk_pairings PRIMARY KEY (store_id)
);
COMMENT ON TABLE pairings IS
    'The code by which a new tablet of the store takes over a sign-in; the last one';
COMMENT ON COLUMN pairings.code IS 'its SHA-256';
COMMENT ON COLUMN pairings.token IS 'a hash of the offering token''s name';
COMMENT ON COLUMN pairings.session IS 'a hash of its session''s; or empty';
COMMENT ON COLUMN pairings.signed_in_at IS 'seconds since 1970';
COMMENT ON COLUMN pairings.token_ends_at IS 'seconds since 1970';
CREATE INDEX ix_pairings_ends_at ON pairings (ends_at);
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; codes that are shown now are good no longer."""
    op.drop_table("pairings")
