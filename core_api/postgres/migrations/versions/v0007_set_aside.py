"""Events set aside, leases that notice a clock set back, and when an order was placed by our clock.

Runs while orders are written.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.locking import alter_at_once
from core_api.postgres.migrations.scripts import run

revision = "0007"
down_revision = "0006"

_TABLES = """
CREATE TABLE outbox_set_aside (
    id bigint NOT NULL,
    shard integer NOT NULL,
    store_id text NOT NULL,
    channels text[] NOT NULL,
    seqs bigint[] NOT NULL,
    committed_after timestamptz NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_outbox_set_aside PRIMARY KEY (id)
);
COMMENT ON TABLE outbox_set_aside IS
    'Events that Kafka will never take; their clients were told to sync';
ALTER TABLE relay_leases ADD COLUMN renewed_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN relay_leases.renewed_at IS
    'in the future: the clock was set back, and the lease holds no more';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)
    with op.get_context().autocommit_block():
        # A default that is the same for all rows is kept once; no row is written.
        alter_at_once(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS"
            " placed_at timestamptz NOT NULL DEFAULT now()"
        )
        op.execute(
            "COMMENT ON COLUMN orders.placed_at IS"
            " 'by the database''s clock; created_at is by Core''s'"
        )
        op.execute(
            "UPDATE orders SET placed_at = created_at WHERE placed_at > created_at"
            " AND status = 'placed' AND status NOT IN ('rejected', 'paid', 'cancelled')"
        )


def downgrade() -> None:
    """Go back."""
    with op.get_context().autocommit_block():
        alter_at_once("ALTER TABLE orders DROP COLUMN IF EXISTS placed_at")
    op.drop_column("relay_leases", "renewed_at")
    op.drop_table("outbox_set_aside")
