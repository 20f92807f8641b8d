"""Tokens and sessions that are revoked before they expire.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0015"
down_revision = "0014"

_TABLES = """
CREATE TABLE revocations (
    kind text NOT NULL,
    name text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    before bigint NOT NULL,
    until timestamptz,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz,
    CONSTRAINT pk_revocations PRIMARY KEY (kind, name),
    CONSTRAINT ck_revocations_kind CHECK (kind IN ('token', 'session', 'subject'))
);
COMMENT ON TABLE revocations IS 'Who is signed out although its token has not expired';
COMMENT ON COLUMN revocations.kind IS 'token, session or subject';
COMMENT ON COLUMN revocations.name IS 'its jti, its sid, or the subject';
COMMENT ON COLUMN revocations.id IS
    'higher after each change of the row, in the order of the commits';
COMMENT ON COLUMN revocations.before IS
    'of a subject: its tokens of this second since 1970 and earlier';
COMMENT ON COLUMN revocations.until IS 'when the last such token has expired; null: not known';
COMMENT ON COLUMN revocations.told_at IS 'when event servers were told; null: not yet';
CREATE UNIQUE INDEX ix_revocations_id ON revocations (id);
CREATE INDEX ix_revocations_untold ON revocations (id) WHERE told_at IS NULL;
CREATE INDEX ix_revocations_until ON revocations (until) WHERE until IS NOT NULL;
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; every token that has not expired counts again."""
    op.drop_table("revocations")
