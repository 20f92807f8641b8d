"""Guests' phones that are told when an order of their table is ready.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_NOW = sa.text("now()")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "guest_pushes",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("table_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False, comment="the phone's own name"),
        sa.Column(
            "endpoint", sa.Text(), nullable=False, comment="where its push service takes messages"
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="of the endpoint"),
        sa.Column("p256dh", sa.Text(), nullable=False, comment="its public key"),
        sa.Column("auth", sa.Text(), nullable=False, comment="what else only it and its page know"),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "issued_at",
            sa.BigInteger(),
            nullable=False,
            comment="when the guest's token was made, in seconds since 1970",
        ),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when that token ends",
        ),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("epoch", sa.Text(), nullable=False, comment="of the log that seq is of"),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="it was told of all orders up to here"
        ),
        *_attempts(),
        sa.PrimaryKeyConstraint("store_id", "table_id", "device", name="pk_guest_pushes"),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_guest_pushes_seq")),
        comment="The guests' phones that are told when an order of their table is ready",
    )
    op.create_index("ix_guest_pushes_renewed_at", "guest_pushes", ["renewed_at"])


def _attempts() -> list[sa.Column[object]]:
    return [
        sa.Column("tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column(
            "failing_since",
            sa.DateTime(timezone=True),
            comment="null: the last attempt succeeded",
        ),
        sa.Column("failure", sa.Text(), comment="what the last attempt came to"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column(
            "fence",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("0"),
            comment="one up whenever somebody else decides on it",
        ),
    ]


def downgrade() -> None:
    """Go back; a guest asks again for notifications after the next upgrade."""
    op.drop_table("guest_pushes")
