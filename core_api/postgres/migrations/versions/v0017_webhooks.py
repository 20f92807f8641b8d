"""Webhooks: the URLs that orders are sent to, and how far each store's log was sent.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0017"
down_revision = "0016"

_NOW = sa.text("now()")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", ARRAY(sa.Text()), nullable=False, comment="which events; empty: all"),
        sa.Column("generation", sa.Integer(), nullable=False, comment="of the secret"),
        sa.Column("kid", sa.Text(), nullable=False, comment="the key that the secret comes from"),
        sa.Column("old_kid", sa.Text(), comment="that of the secret before; null: there is none"),
        sa.Column(
            "old_until", sa.DateTime(timezone=True), comment="until when that one signs, too"
        ),
        sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'active'")),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.CheckConstraint(
            "state IN ('active', 'disabled', 'ended')", name=op.f("ck_webhooks_state")
        ),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_webhooks_generation")),
        comment="The URLs that orders are sent to",
    )
    op.create_index("ix_webhooks_made_by", "webhooks", ["made_by"])
    _create_lanes()
    _create_set_aside()


def _create_lanes() -> None:
    op.create_table(
        "webhook_lanes",
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False, comment="of the log that seq is of"),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="the last event that needs no sending"
        ),
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
            comment="one up whenever somebody else decides on the lane",
        ),
        sa.Column("parked_at", sa.DateTime(timezone=True)),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("webhook_id", "store_id", name="pk_webhook_lanes"),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            ondelete="CASCADE",
            name="fk_webhook_lanes_webhook_id",
        ),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_webhook_lanes_seq")),
        postgresql_with={"fillfactor": "50"},
        comment="How far each store's log was sent to each URL",
    )
    op.create_index("ix_webhook_lanes_store_id", "webhook_lanes", ["store_id"])


def _create_set_aside() -> None:
    op.create_table(
        "webhook_set_aside",
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint(
            "webhook_id", "store_id", "epoch", "seq", name="pk_webhook_set_aside"
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            ondelete="CASCADE",
            name="fk_webhook_set_aside_webhook_id",
        ),
        comment="Events that a receiver refused for an hour while it took others",
    )


def downgrade() -> None:
    """Go back; every subscription and how far it was is forgotten."""
    op.drop_table("webhook_set_aside")
    op.drop_table("webhook_lanes")
    op.drop_table("webhooks")
