"""Guests' phones: by what the guest's token can be revoked.

Adds columns with a constant default, so it runs while everything else goes on. What subscribed
before has none of them, and ends with its subject alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Go forward."""
    for name, comment in (
        ("token", "the key by which the guest's token can be revoked; empty: not known"),
        ("session", "the key by which its session can be revoked; empty: it has none"),
    ):
        op.add_column(
            "guest_pushes",
            sa.Column(
                name, sa.Text(), nullable=False, server_default=sa.text("''"), comment=comment
            ),
        )
    op.add_column(
        "guest_pushes",
        sa.Column(
            "signed_in_at",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="when its guest signed in, in seconds since 1970; 0: when the token was made",
        ),
    )


def downgrade() -> None:
    """Go back; phones of revoked tokens are told again until their party leaves."""
    for name in ("token", "session", "signed_in_at"):
        op.drop_column("guest_pushes", name)
