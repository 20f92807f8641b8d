"""Pushes: the owners' browsers that are told of orders which no terminal receives.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_NOW = sa.text("now()")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "push_subscriptions",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False, comment="the browser's own name"),
        sa.Column(
            "endpoint", sa.Text(), nullable=False, comment="where its push service takes messages"
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="of the endpoint"),
        sa.Column("p256dh", sa.Text(), nullable=False, comment="its public key"),
        sa.Column("auth", sa.Text(), nullable=False, comment="what else only it and its page know"),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("epoch", sa.Text(), nullable=False, comment="of the log that seq is of"),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="it was told of all orders up to here"
        ),
        sa.Column("pushed_at", sa.DateTime(timezone=True)),
        *_attempts(),
        sa.PrimaryKeyConstraint("store_id", "device", name="pk_push_subscriptions"),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_push_subscriptions_seq")),
        comment="The owners' browsers that are told of orders which no terminal receives",
    )
    op.create_index("ix_push_subscriptions_renewed_at", "push_subscriptions", ["renewed_at"])


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
    """Go back; every browser subscribes anew when its page is opened after the next upgrade."""
    op.drop_table("push_subscriptions")
