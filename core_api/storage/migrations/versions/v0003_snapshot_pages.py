"""Snapshots in pages: the indexes over open orders go by id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("status NOT IN ('rejected', 'paid', 'cancelled')")


def upgrade() -> None:
    """Go forward."""
    _index("ix_orders_open_store", ["store_id", "id"])
    _index("ix_orders_open_table", ["store_id", "table_id", "id"])


def downgrade() -> None:
    """Go back."""
    _index("ix_orders_open_store", ["store_id"])
    _index("ix_orders_open_table", ["store_id", "table_id"])


def _index(name: str, columns: list[str]) -> None:
    op.drop_index(name, "orders")
    op.create_index(name, "orders", columns, postgresql_where=_OPEN)
