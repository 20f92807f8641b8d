"""Webhooks: every secret that was rotated within the last day signs, not the one before alone.

Makes a table and takes away two columns that came with 0017. Stop the senders of webhooks before
it, where a release between the two was in use.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0018"
down_revision = "0017"

_TABLE = """
CREATE TABLE webhook_old_secrets (
    webhook_id text NOT NULL,
    generation integer NOT NULL,
    kid text NOT NULL,
    until timestamptz NOT NULL,
    CONSTRAINT pk_webhook_old_secrets PRIMARY KEY (webhook_id, generation),
    CONSTRAINT fk_webhook_old_secrets_webhook_id FOREIGN KEY (webhook_id)
        REFERENCES webhooks (id) ON DELETE CASCADE
);
COMMENT ON TABLE webhook_old_secrets IS 'The secrets of webhooks that were rotated and still sign';
COMMENT ON COLUMN webhook_old_secrets.kid IS 'the key that the secret comes from';
COMMENT ON COLUMN webhook_old_secrets.until IS 'until when it signs, too';
"""
_OLD_COLUMNS = """
ALTER TABLE webhooks ADD COLUMN old_kid text;
COMMENT ON COLUMN webhooks.old_kid IS 'that of the secret before; null: there is none';
ALTER TABLE webhooks ADD COLUMN old_until timestamptz;
COMMENT ON COLUMN webhooks.old_until IS 'until when that one signs, too';
"""


def upgrade() -> None:
    """Go forward."""
    # At once what the columns take in the end: a webhook that is added meanwhile would stand
    # between the two locks, and one of both would be refused.
    op.execute("LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE")
    run(_TABLE)
    op.execute(
        "INSERT INTO webhook_old_secrets SELECT id, generation - 1, old_kid, old_until"
        " FROM webhooks WHERE old_kid IS NOT NULL AND old_until > now()"
    )
    op.drop_column("webhooks", "old_kid")
    op.drop_column("webhooks", "old_until")


def downgrade() -> None:
    """Go back; of each webhook the newest of the old secrets goes on signing."""
    run(_OLD_COLUMNS)
    op.execute(
        "UPDATE webhooks w SET old_kid = s.kid, old_until = s.until FROM webhook_old_secrets s"
        " WHERE s.webhook_id = w.id AND s.generation = w.generation - 1"
    )
    op.drop_table("webhook_old_secrets")
