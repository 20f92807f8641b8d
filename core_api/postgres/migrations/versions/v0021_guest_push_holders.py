"""Guests' phones: by what the guest's token can be revoked.

Adds columns with a constant default, so it runs while everything else goes on. What subscribed
before has none of them, and ends with its subject alone.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0021"
down_revision = "0020"

_COLUMNS = """
ALTER TABLE guest_pushes ADD COLUMN token text NOT NULL DEFAULT '';
COMMENT ON COLUMN guest_pushes.token IS
    'the key by which the guest''s token can be revoked; empty: not known';
ALTER TABLE guest_pushes ADD COLUMN session text NOT NULL DEFAULT '';
COMMENT ON COLUMN guest_pushes.session IS
    'the key by which its session can be revoked; empty: it has none';
ALTER TABLE guest_pushes ADD COLUMN signed_in_at bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN guest_pushes.signed_in_at IS
    'when its guest signed in, in seconds since 1970; 0: when the token was made';
"""


def upgrade() -> None:
    """Go forward."""
    run(_COLUMNS)


def downgrade() -> None:
    """Go back; phones of revoked tokens are told again until their party leaves."""
    for name in ("token", "session", "signed_in_at"):
        op.drop_column("guest_pushes", name)
