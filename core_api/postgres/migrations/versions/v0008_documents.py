"""Documents: shared state on the log of orders. Runs while orders are written.

All processes are of this release before the first document is written: a Core of before does not
see to it that no order passes a closed store or what is sold out.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core_api.postgres.migrations.locking import alter_at_once

revision = "0008"
down_revision = "0007"

_NAMED_KEY = "the key of the document that it is about; null: it is about an order"
_RULES = "when the documents that orders of this store obey last changed, in microseconds; 0: never"
_ORDERS = "ix_channel_log_order"
_OPEN = "how many orders are open, or documents there are; true only while counted = head"


def upgrade() -> None:
    """Go forward."""
    # First what can be done twice: it is not undone if something after it fails.
    with op.get_context().autocommit_block():
        alter_at_once(
            "ALTER TABLE channel_heads ADD COLUMN IF NOT EXISTS rules bigint NOT NULL DEFAULT 0,"
            " DROP CONSTRAINT IF EXISTS ck_channel_heads_range,"
            " ADD CONSTRAINT ck_channel_heads_range"
            " CHECK (head >= 0 AND floor >= 0 AND floor <= head) NOT VALID"
        )
        op.execute("ALTER TABLE channel_heads VALIDATE CONSTRAINT ck_channel_heads_range")
        alter_at_once(
            "ALTER TABLE channel_log ADD COLUMN IF NOT EXISTS document_key text,"
            " ALTER COLUMN order_id DROP NOT NULL"
        )
        alter_at_once("ALTER TABLE outbox ALTER COLUMN store_id DROP NOT NULL")
        alter_at_once("ALTER TABLE outbox_set_aside ALTER COLUMN store_id DROP NOT NULL")
        # One that a stopped build has left behind is not valid.
        op.drop_index(_ORDERS, "channel_log", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            _ORDERS,
            "channel_log",
            ["order_id", "order_version"],
            postgresql_where=sa.text("channel LIKE 'store:%'"),
            postgresql_concurrently=True,
        )
        op.execute(f"COMMENT ON COLUMN channel_heads.rules IS '{_RULES}'")
        op.execute(f"COMMENT ON COLUMN channel_heads.open_orders IS '{_OPEN}'")
        op.execute(f"COMMENT ON COLUMN channel_log.document_key IS '{_NAMED_KEY}'")
    _create_documents()
    _create_history()
    _create_edits()


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False, comment="its JSON but for the value"),
        sa.Column("value", sa.Text(), comment="as JSON; null: there is none (any more)"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), comment="when it is deleted by itself"),
        sa.CheckConstraint("version >= 0", name="ck_documents_version"),
        sa.PrimaryKeyConstraint("channel", "key", name="pk_documents"),
        comment="The current state of each document",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_documents_ends_at",
        "documents",
        ["ends_at"],
        postgresql_where=sa.text("ends_at IS NOT NULL"),
    )
    op.create_index(
        "ix_documents_ending_key",
        "documents",
        ["key"],
        postgresql_where=sa.text("ends_at IS NOT NULL"),
    )
    op.create_index(
        "ix_documents_empty",
        "documents",
        ["updated_at"],
        postgresql_where=sa.text("version = 0"),
    )


def _create_history() -> None:
    op.create_table(
        "document_history",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "version", sa.Integer(), nullable=False, comment="what it made, or was put aside at"
        ),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("took_effect", sa.Boolean(), nullable=False, comment="false: put aside"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False, comment="the history's JSON of it"),
        sa.Column("diff", sa.Text(), nullable=False, comment="JSON Patch from the version before"),
        sa.Column("value", sa.Text(), comment="the whole value, at some versions"),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel", "key", "version", "client", "n", name="pk_document_history"
        ),
        comment="What became of each edit that made a version or was put aside",
    )
    op.create_index("ix_document_history_at", "document_history", ["at"], postgresql_using="brin")


def _create_edits() -> None:
    op.create_table(
        "edit_clients",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False, comment="its last settled number"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("client", name="pk_edit_clients"),
        comment="How far the edits of each client are settled",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index("ix_edit_clients_seen_at", "edit_clients", ["seen_at"])
    op.create_table(
        "edit_outcomes",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), comment="what an edit that is made on it needs"),
        sa.PrimaryKeyConstraint("client", "n", name="pk_edit_outcomes"),
        comment="What became of each edit, kept until its client has the answer",
    )


def downgrade() -> None:
    """Go back; documents are lost."""
    with op.get_context().autocommit_block():
        for table in ("outbox", "outbox_set_aside"):
            op.execute(f"DELETE FROM {table} WHERE store_id IS NULL")  # noqa: S608
            alter_at_once(f"ALTER TABLE {table} ALTER COLUMN store_id SET NOT NULL")
        op.execute("DELETE FROM channel_log WHERE order_id IS NULL")
        op.drop_index(_ORDERS, "channel_log", postgresql_concurrently=True, if_exists=True)
        op.execute("DELETE FROM channel_heads WHERE head = 0 OR channel !~ '^(store|table):'")
        alter_at_once(
            "ALTER TABLE channel_log DROP COLUMN IF EXISTS document_key,"
            " ALTER COLUMN order_id SET NOT NULL"
        )
        alter_at_once(
            "ALTER TABLE channel_heads DROP COLUMN IF EXISTS rules,"
            " DROP CONSTRAINT IF EXISTS ck_channel_heads_range,"
            " ADD CONSTRAINT ck_channel_heads_range"
            " CHECK (head >= 1 AND floor >= 0 AND floor <= head)"
        )
        op.execute(
            "COMMENT ON COLUMN channel_heads.open_orders IS"
            " 'how many orders are open; true only while counted = head'"
        )
    op.drop_table("edit_outcomes")
    op.drop_table("edit_clients")
    op.drop_table("document_history")
    op.drop_table("documents")
