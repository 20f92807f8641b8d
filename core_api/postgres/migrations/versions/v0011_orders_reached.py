"""Which device has shown an order to a person, and which printer has printed it; the printers that
are called over MQTT.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0011"
down_revision = "0010"

_TABLES = """
CREATE TABLE orders_reached (
    order_id uuid NOT NULL,
    device text NOT NULL,
    how text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_orders_reached PRIMARY KEY (order_id, device, how)
);
COMMENT ON TABLE orders_reached IS 'Where an order was shown to a person, or came out on paper';
COMMENT ON COLUMN orders_reached.how IS 'seen or printed';
CREATE INDEX ix_orders_reached_at ON orders_reached (at);
CREATE TABLE star_printers (
    store_id text NOT NULL,
    device_id text NOT NULL,
    mac text NOT NULL,
    rung_at timestamptz,
    CONSTRAINT pk_star_printers PRIMARY KEY (store_id, device_id),
    CONSTRAINT uq_star_printers_mac UNIQUE (mac)
) WITH (fillfactor = 50);
COMMENT ON TABLE star_printers IS 'The Star printers that are called over MQTT';
COMMENT ON COLUMN star_printers.rung_at IS 'when it was called last; null: it is to be called now';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; which device has shown what is forgotten, and Star printers poll again."""
    op.execute("DROP TABLE star_printers, orders_reached")
