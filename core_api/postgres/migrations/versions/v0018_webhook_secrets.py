"""Webhooks: every secret that was rotated within the last day signs, not the one before alone.

Makes a table and takes away two columns that came with 0017. Stop the senders of webhooks before
it, where a release between the two was in use.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Go forward."""
    # At once what the columns take in the end: a webhook that is added meanwhile would stand
    # between the two locks, and one of both would be refused.
    op.execute("LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE")
    op.create_table(
        "webhook_old_secrets",
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False, comment="the key that the secret comes from"),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="until when it signs, too",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "generation", name="pk_webhook_old_secrets"),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            ondelete="CASCADE",
            name="fk_webhook_old_secrets_webhook_id",
        ),
        comment="The secrets of webhooks that were rotated and still sign",
    )
    op.execute(
        "INSERT INTO webhook_old_secrets SELECT id, generation - 1, old_kid, old_until"
        " FROM webhooks WHERE old_kid IS NOT NULL AND old_until > now()"
    )
    op.drop_column("webhooks", "old_kid")
    op.drop_column("webhooks", "old_until")


def downgrade() -> None:
    """Go back; of each webhook the newest of the old secrets goes on signing."""
    op.add_column(
        "webhooks",
        sa.Column("old_kid", sa.Text(), comment="that of the secret before; null: there is none"),
    )
    op.add_column(
        "webhooks",
        sa.Column(
            "old_until", sa.DateTime(timezone=True), comment="until when that one signs, too"
        ),
    )
    op.execute(
        "UPDATE webhooks w SET old_kid = s.kid, old_until = s.until FROM webhook_old_secrets s"
        " WHERE s.webhook_id = w.id AND s.generation = w.generation - 1"
    )
    op.drop_table("webhook_old_secrets")
