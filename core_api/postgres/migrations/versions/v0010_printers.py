"""Printers: how far each has come in its store's log, and which agent holds it.

Makes a table, and indexes beside what is written, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0010"
down_revision = "0009"

_INDEXES = (
    ("ix_documents_printing", "key = 'printing'"),
    ("ix_documents_printed", "value IS NULL AND key LIKE 'print.%'"),
)

_TABLES = """
CREATE TABLE printers (
    store_id text NOT NULL,
    device_id text NOT NULL,
    seq bigint,
    waiting_since timestamptz,
    agent text,
    held_until timestamptz,
    CONSTRAINT pk_printers PRIMARY KEY (store_id, device_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE printers IS 'The printers that stores print on';
COMMENT ON COLUMN printers.seq IS
    'of the store''s log: its jobs are made up to here; null: it prints nothing';
COMMENT ON COLUMN printers.waiting_since IS
    'since when a job of it is not printed; null: none waits';
COMMENT ON COLUMN printers.agent IS 'which agent holds it';
"""


def upgrade() -> None:
    """Go forward."""
    with op.get_context().autocommit_block():
        for name, where in _INDEXES:
            # One that a stopped build has left behind is not valid.
            op.drop_index(name, "documents", postgresql_concurrently=True, if_exists=True)
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON documents (updated_at) WHERE {where}")
    run(_TABLES)


def downgrade() -> None:
    """Go back; the jobs that are made stay, as documents."""
    op.drop_table("printers")
    with op.get_context().autocommit_block():
        for name, _ in _INDEXES:
            op.drop_index(name, "documents", postgresql_concurrently=True, if_exists=True)
