"""Tokens and sessions that are revoked before they expire.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "revocations",
        sa.Column("kind", sa.Text(), nullable=False, comment="token, session or subject"),
        sa.Column("name", sa.Text(), nullable=False, comment="its jti, its sid, or the subject"),
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="higher after each change of the row, in the order of the commits",
        ),
        sa.Column(
            "before",
            sa.BigInteger(),
            nullable=False,
            comment="of a subject: its tokens of this second since 1970 and earlier",
        ),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            comment="when the last such token has expired; null: not known",
        ),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
        ),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            comment="when event servers were told; null: not yet",
        ),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_revocations"),
        sa.CheckConstraint(
            "kind IN ('token', 'session', 'subject')", name=op.f("ck_revocations_kind")
        ),
        comment="Who is signed out although its token has not expired",
    )
    op.create_index("ix_revocations_id", "revocations", ["id"], unique=True)
    op.create_index(
        "ix_revocations_untold", "revocations", ["id"], postgresql_where=sa.text("told_at IS NULL")
    )
    op.create_index(
        "ix_revocations_until",
        "revocations",
        ["until"],
        postgresql_where=sa.text("until IS NOT NULL"),
    )


def downgrade() -> None:
    """Go back; every token that has not expired counts again."""
    op.drop_table("revocations")
