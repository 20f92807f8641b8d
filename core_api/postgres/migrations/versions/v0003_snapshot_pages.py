"""Snapshots in pages: the indexes over open orders go by id. Runs while orders are written."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_OPEN = "WHERE status NOT IN ('rejected', 'paid', 'cancelled')"


def upgrade() -> None:
    """Go forward."""
    _index("ix_orders_open_store", "store_id, id")
    _index("ix_orders_open_table", "store_id, table_id, id")


def downgrade() -> None:
    """Go back."""
    _index("ix_orders_open_store", "store_id")
    _index("ix_orders_open_table", "store_id, table_id")


def _index(name: str, columns: str) -> None:
    """Put an index over these columns in the place of the one of this name.

    No order waits for it: CONCURRENTLY takes no lock that a write waits for. It cannot run within a
    transaction, so each statement stands for itself, and this begins anew where a run broke off.
    """
    new = f"{name}_new"
    with op.get_context().autocommit_block():
        op.drop_index(new, "orders", postgresql_concurrently=True, if_exists=True)
        op.execute(f"CREATE INDEX CONCURRENTLY {new} ON orders ({columns}) {_OPEN}")
        op.drop_index(name, "orders", postgresql_concurrently=True, if_exists=True)
        op.execute(f"ALTER INDEX {new} RENAME TO {name}")
