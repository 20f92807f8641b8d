"""How many orders are open in each channel, and who placed an order. Runs while orders are written.

The new columns are filled by the writes that follow: a count is believed only if it was kept at the
channel's present head, so that Cores of the version before may go on writing meanwhile.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.locking import alter_at_once

revision = "0005"
down_revision = "0004"

_COUNT = "bigint NOT NULL DEFAULT 0"
_COUNTS = {
    "open_orders": "how many orders are open; true only while counted = head",
    "open_bytes": "their bytes as this channel sees them; true only while counted = head",
    "counted": "the head that open_orders and open_bytes were kept at",
}


def upgrade() -> None:
    """Go forward."""
    # A constant default is kept beside the table: no row is written, the lock is held for a moment.
    # In one statement each, so that no lock is held while another one is waited for.
    with op.get_context().autocommit_block():
        added = ", ".join(f"ADD COLUMN IF NOT EXISTS {n} {_COUNT}" for n in _COUNTS)
        alter_at_once(f"ALTER TABLE channel_heads {added}")
        alter_at_once("ALTER TABLE orders ADD COLUMN IF NOT EXISTS placed_by text")
        for name, meaning in _COUNTS.items():
            op.execute(f"COMMENT ON COLUMN channel_heads.{name} IS '{meaning}'")
        op.execute(
            "COMMENT ON COLUMN orders.placed_by IS"
            " 'the subject; null on orders from before this column'"
        )


def downgrade() -> None:
    """Go back."""
    with op.get_context().autocommit_block():
        alter_at_once("ALTER TABLE orders DROP COLUMN IF EXISTS placed_by")
        dropped = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in _COUNTS)
        alter_at_once(f"ALTER TABLE channel_heads {dropped}")
