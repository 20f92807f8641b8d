"""Owners' browsers: by what the owner's token can be revoked.

Adds columns with a constant default, so it runs while everything else goes on. What subscribed
before has none of them: it ends with its subject, and with its token and session from the next
start of its page on. Guests' phones whose token is not known subscribed before 0021, a day ago at
most, or they would be forgotten; whether it was revoked cannot be said, so they are forgotten now,
until their page starts again.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0022"
down_revision = "0021"

_COLUMNS = """
ALTER TABLE push_subscriptions ADD COLUMN token text NOT NULL DEFAULT '';
COMMENT ON COLUMN push_subscriptions.token IS
    'the key by which the owner''s token can be revoked; empty: not known';
ALTER TABLE push_subscriptions ADD COLUMN session text NOT NULL DEFAULT '';
COMMENT ON COLUMN push_subscriptions.session IS
    'the key by which its session can be revoked; empty: it has none, or not known';
ALTER TABLE push_subscriptions ADD COLUMN made_at bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN push_subscriptions.made_at IS
    'when its owner signed in, in seconds since 1970; 0: before renewed_at';
"""


def upgrade() -> None:
    """Go forward."""
    run(_COLUMNS)
    op.execute("DELETE FROM guest_pushes WHERE token = ''")


def downgrade() -> None:
    """Go back; browsers of revoked tokens are told again until they are removed."""
    for name in ("token", "session", "made_at"):
        op.drop_column("push_subscriptions", name)
