"""Orders, the log and the outbox."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from core_api.ids import epoch_name

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "channel_heads",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False, comment="the newest seq"),
        sa.Column(
            "digest", sa.BigInteger(), nullable=False, comment="of the open orders, signed 64 bits"
        ),
        sa.Column(
            "floor",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="the newest seq that retention has trimmed",
        ),
        sa.CheckConstraint(
            "head >= 1 AND floor >= 0 AND floor <= head", name=op.f("ck_channel_heads_range")
        ),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_heads")),
        comment="The counter row that makes a channel's seqs gapless and in commit order",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "channel_log",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_version", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="the event's JSON after its id and seq"
        ),
        sa.PrimaryKeyConstraint("channel", "seq", name=op.f("pk_channel_log")),
        comment="The events of each channel",
    )
    op.create_index(
        "ix_channel_log_occurred_at",
        "channel_log",
        ["occurred_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_table(
        "epoch",
        sa.Column("singleton", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_epoch_singleton")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_epoch")),
        comment="The lifetime of the log; a restore starts a new one",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("subject", "key", name=op.f("pk_idempotency_keys")),
        comment="The answer of each write that named a key, kept for its retries",
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("table_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner_view", sa.Text(), nullable=False, comment="the whole order as JSON"),
        sa.Column(
            "table_view",
            sa.Text(),
            nullable=True,
            comment="what its table may see; null without a table",
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_orders_currency")),
        sa.CheckConstraint(
            "(table_id IS NULL) = (table_view IS NULL)", name=op.f("ck_orders_table_view")
        ),
        sa.CheckConstraint("total >= 0", name=op.f("ck_orders_total")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_orders_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        comment="The current state of each order",
    )
    op.create_index(
        "ix_orders_open_store",
        "orders",
        ["store_id"],
        unique=False,
        postgresql_where=sa.text("status NOT IN ('rejected', 'paid', 'cancelled')"),
    )
    op.create_index(
        "ix_orders_open_table",
        "orders",
        ["store_id", "table_id"],
        unique=False,
        postgresql_where=sa.text("status NOT IN ('rejected', 'paid', 'cancelled')"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "shard", sa.Integer(), nullable=False, comment="the Kafka partition of the store"
        ),
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("seqs", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "committed_after",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        comment="Events that the relay has still to publish; each points into the log",
    )
    op.create_index("ix_outbox_shard_id", "outbox", ["shard", "id"], unique=False)
    op.create_table(
        "relay_leases",
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column(
            "fence", sa.BigInteger(), nullable=False, comment="one up at each change of owner"
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_relay_leases")),
        comment="Which relay owns a shard; the fence is checked by the statement that deletes rows",
    )
    op.create_table(
        "relay_members",
        sa.Column("relay", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("relay", name=op.f("pk_relay_members")),
        comment="The relays that are alive, so that each takes its fair share of shards",
    )
    op.create_table(
        "order_items",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("quantity >= 1", name=op.f("ck_order_items_quantity")),
        sa.CheckConstraint("unit_price >= 0", name=op.f("ck_order_items_unit_price")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_items_order_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("order_id", "line", name=op.f("pk_order_items")),
        comment="The lines of each order, for questions asked in SQL",
    )
    name = epoch_name(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    op.execute(sa.text("INSERT INTO epoch (epoch) VALUES (:name)").bindparams(name=name))


def downgrade() -> None:
    """Go back."""
    op.drop_table("order_items")
    op.drop_table("relay_members")
    op.drop_table("relay_leases")
    op.drop_index("ix_outbox_shard_id", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(
        "ix_orders_open_table",
        table_name="orders",
        postgresql_where=sa.text("status NOT IN ('rejected', 'paid', 'cancelled')"),
    )
    op.drop_index(
        "ix_orders_open_store",
        table_name="orders",
        postgresql_where=sa.text("status NOT IN ('rejected', 'paid', 'cancelled')"),
    )
    op.drop_table("orders")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("epoch")
    op.drop_index("ix_channel_log_occurred_at", table_name="channel_log", postgresql_using="brin")
    op.drop_table("channel_log")
    op.drop_table("channel_heads")
