"""Printers: how far each has come in its store's log, and which agent holds it.

Makes a table, and indexes beside what is written, so it runs while everything else goes on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_INDEXES = (
    ("ix_documents_printing", "key = 'printing'"),
    ("ix_documents_printed", "value IS NULL AND key LIKE 'print.%'"),
)


def upgrade() -> None:
    """Go forward."""
    with op.get_context().autocommit_block():
        for name, where in _INDEXES:
            # One that a stopped build has left behind is not valid.
            op.drop_index(name, "documents", postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name,
                "documents",
                ["updated_at"],
                postgresql_where=sa.text(where),
                postgresql_concurrently=True,
            )
    op.create_table(
        "printers",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column(
            "seq",
            sa.BigInteger(),
            comment="of the store's log: its jobs are made up to here; null: it prints nothing",
        ),
        sa.Column(
            "waiting_since",
            sa.DateTime(timezone=True),
            comment="since when a job of it is not printed; null: none waits",
        ),
        sa.Column("agent", sa.Text(), comment="which agent holds it"),
        sa.Column("held_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("store_id", "device_id", name="pk_printers"),
        comment="The printers that stores print on",
        postgresql_with={"fillfactor": "50"},
    )


def downgrade() -> None:
    """Go back; the jobs that are made stay, as documents."""
    op.drop_table("printers")
    with op.get_context().autocommit_block():
        for name, _ in _INDEXES:
            op.drop_index(name, "documents", postgresql_concurrently=True, if_exists=True)
