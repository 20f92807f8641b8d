"""Devices, and the orders that reach nobody."""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE devices (
    store_id text NOT NULL,
    device text NOT NULL,
    subject text NOT NULL,
    mode text NOT NULL,
    epoch text NOT NULL,
    applied bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_devices PRIMARY KEY (store_id, device)
);
COMMENT ON TABLE devices IS 'What each device of an owner had applied at its last sync';
COMMENT ON COLUMN devices.applied IS 'the last seq of the store''s channel';
CREATE INDEX ix_devices_seen_at ON devices (seen_at);
CREATE TABLE unreached (
    order_id uuid NOT NULL,
    kind text NOT NULL,
    store_id text NOT NULL,
    placed_at timestamptz NOT NULL,
    told_at timestamptz,
    CONSTRAINT pk_unreached PRIMARY KEY (order_id, kind)
);
COMMENT ON TABLE unreached IS 'Orders that nobody has received or accepted in time';
COMMENT ON COLUMN unreached.told_at IS 'when its record was published; null: not yet';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TABLE unreached, devices")
