"""Documents: shared state on the log of orders. Runs while orders are written.

All processes are of this release before the first document is written: a Core of before does not
see to it that no order passes a closed store or what is sold out.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.locking import alter_at_once
from core_api.postgres.migrations.scripts import run

revision = "0008"
down_revision = "0007"

_NAMED_KEY = "the key of the document that it is about; null: it is about an order"
_RULES = "when the documents that orders of this store obey last changed, in microseconds; 0: never"
_ORDERS = "ix_channel_log_order"
_OPEN = "how many orders are open, or documents there are; true only while counted = head"

_TABLES = """
CREATE TABLE documents (
    channel text NOT NULL,
    key text NOT NULL,
    version integer NOT NULL,
    schema integer NOT NULL,
    facts text NOT NULL,
    value text,
    made_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ends_at timestamptz,
    CONSTRAINT pk_documents PRIMARY KEY (channel, key),
    CONSTRAINT ck_documents_ck_documents_version CHECK (version >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE documents IS 'The current state of each document';
COMMENT ON COLUMN documents.facts IS 'its JSON but for the value';
COMMENT ON COLUMN documents.value IS 'as JSON; null: there is none (any more)';
COMMENT ON COLUMN documents.ends_at IS 'when it is deleted by itself';
CREATE INDEX ix_documents_ends_at ON documents (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX ix_documents_ending_key ON documents (key) WHERE ends_at IS NOT NULL;
CREATE INDEX ix_documents_empty ON documents (updated_at) WHERE version = 0;
CREATE TABLE document_history (
    channel text NOT NULL,
    key text NOT NULL,
    version integer NOT NULL,
    client text NOT NULL,
    n bigint NOT NULL,
    took_effect boolean NOT NULL,
    at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    entry text NOT NULL,
    diff text NOT NULL,
    value text,
    schema integer NOT NULL,
    CONSTRAINT pk_document_history PRIMARY KEY (channel, key, version, client, n)
);
COMMENT ON TABLE document_history IS
    'What became of each edit that made a version or was put aside';
COMMENT ON COLUMN document_history.version IS 'what it made, or was put aside at';
COMMENT ON COLUMN document_history.took_effect IS 'false: put aside';
COMMENT ON COLUMN document_history.entry IS 'the history''s JSON of it';
COMMENT ON COLUMN document_history.diff IS 'JSON Patch from the version before';
COMMENT ON COLUMN document_history.value IS 'the whole value, at some versions';
CREATE INDEX ix_document_history_at ON document_history USING brin (at);
CREATE TABLE edit_clients (
    client text NOT NULL,
    subject text NOT NULL,
    settled bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_edit_clients PRIMARY KEY (client)
) WITH (fillfactor = 50);
COMMENT ON TABLE edit_clients IS 'How far the edits of each client are settled';
COMMENT ON COLUMN edit_clients.settled IS 'its last settled number';
CREATE INDEX ix_edit_clients_seen_at ON edit_clients (seen_at);
CREATE TABLE edit_outcomes (
    client text NOT NULL,
    n bigint NOT NULL,
    request_hash bytea NOT NULL,
    outcome text NOT NULL,
    result text,
    CONSTRAINT pk_edit_outcomes PRIMARY KEY (client, n)
);
COMMENT ON TABLE edit_outcomes IS 'What became of each edit, kept until its client has the answer';
COMMENT ON COLUMN edit_outcomes.result IS 'what an edit that is made on it needs';
"""


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
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_ORDERS} ON channel_log (order_id, order_version)"
            " WHERE channel LIKE 'store:%'"
        )
        op.execute(f"COMMENT ON COLUMN channel_heads.rules IS '{_RULES}'")
        op.execute(f"COMMENT ON COLUMN channel_heads.open_orders IS '{_OPEN}'")
        op.execute(f"COMMENT ON COLUMN channel_log.document_key IS '{_NAMED_KEY}'")
    run(_TABLES)


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
    op.execute("DROP TABLE edit_outcomes, edit_clients, document_history, documents")
