"""Owners' browsers: by what the owner's token can be revoked.

Adds columns with a constant default, so it runs while everything else goes on. What subscribed
before has none of them: it ends with its subject, and with its token and session from the next
start of its page on. Guests' phones whose token is not known subscribed before 0021, a day ago at
most, or they would be forgotten; whether it was revoked cannot be said, so they are forgotten now,
until their page starts again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Go forward."""
    for name, comment in (
        ("token", "the key by which the owner's token can be revoked; empty: not known"),
        (
            "session",
            "the key by which its session can be revoked; empty: it has none, or not known",
        ),
    ):
        op.add_column(
            "push_subscriptions",
            sa.Column(
                name, sa.Text(), nullable=False, server_default=sa.text("''"), comment=comment
            ),
        )
    op.add_column(
        "push_subscriptions",
        sa.Column(
            "made_at",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="when its owner signed in, in seconds since 1970; 0: before renewed_at",
        ),
    )
    op.execute("DELETE FROM guest_pushes WHERE token = ''")


def downgrade() -> None:
    """Go back; browsers of revoked tokens are told again until they are removed."""
    for name in ("token", "session", "made_at"):
        op.drop_column("push_subscriptions", name)
