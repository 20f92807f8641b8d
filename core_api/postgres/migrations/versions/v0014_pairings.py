"""Codes by which new tablets are let in.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "pairings",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False, comment="its SHA-256"),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text()),
        sa.Column(
            "token", sa.Text(), nullable=False, comment="a hash of the offering token's name"
        ),
        sa.Column(
            "session", sa.Text(), nullable=False, comment="a hash of its session's; or empty"
        ),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=False, comment="seconds since 1970"),
        sa.Column("token_ends_at", sa.BigInteger(), nullable=False, comment="seconds since 1970"),
        sa.Column("tries_left", sa.SmallInteger(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("store_id", name="pk_pairings"),
        comment="The code by which a new tablet of the store takes over a sign-in; the last one",
    )
    op.create_index("ix_pairings_ends_at", "pairings", ["ends_at"])


def downgrade() -> None:
    """Go back; codes that are shown now are good no longer."""
    op.drop_table("pairings")
