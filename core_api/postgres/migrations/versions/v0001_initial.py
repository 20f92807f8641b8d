"""Orders, the log and the outbox."""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from alembic import op

from core_api.ids import epoch_name
from core_api.postgres.migrations.scripts import run

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE channel_heads (
    channel text NOT NULL,
    head bigint NOT NULL,
    digest bigint NOT NULL,
    floor bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_channel_heads PRIMARY KEY (channel),
    CONSTRAINT ck_channel_heads_range CHECK (head >= 1 AND floor >= 0 AND floor <= head)
) WITH (fillfactor = 50);
COMMENT ON TABLE channel_heads IS
    'The counter row that makes a channel''s seqs gapless and in commit order';
COMMENT ON COLUMN channel_heads.head IS 'the newest seq';
COMMENT ON COLUMN channel_heads.digest IS 'of the open orders, signed 64 bits';
COMMENT ON COLUMN channel_heads.floor IS 'the newest seq that retention has trimmed';
CREATE TABLE channel_log (
    channel text NOT NULL,
    seq bigint NOT NULL,
    order_id uuid NOT NULL,
    order_version integer NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    body text NOT NULL,
    CONSTRAINT pk_channel_log PRIMARY KEY (channel, seq)
);
COMMENT ON TABLE channel_log IS 'The events of each channel';
COMMENT ON COLUMN channel_log.body IS 'the event''s JSON after its id and seq';
CREATE INDEX ix_channel_log_occurred_at ON channel_log USING brin (occurred_at);
CREATE TABLE epoch (
    singleton integer NOT NULL DEFAULT 1,
    epoch text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_epoch PRIMARY KEY (singleton),
    CONSTRAINT ck_epoch_singleton CHECK (singleton = 1)
);
COMMENT ON TABLE epoch IS 'The lifetime of the log; a restore starts a new one';
CREATE TABLE idempotency_keys (
    subject text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    status smallint NOT NULL,
    order_id uuid NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (subject, key)
);
COMMENT ON TABLE idempotency_keys IS
    'The answer of each write that named a key, kept for its retries';
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE TABLE orders (
    id uuid NOT NULL,
    store_id text NOT NULL,
    table_id text,
    status text NOT NULL,
    version integer NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL,
    note text NOT NULL,
    reference text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    owner_view text NOT NULL,
    table_view text,
    CONSTRAINT pk_orders PRIMARY KEY (id),
    CONSTRAINT ck_orders_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ck_orders_table_view CHECK ((table_id IS NULL) = (table_view IS NULL)),
    CONSTRAINT ck_orders_total CHECK (total >= 0),
    CONSTRAINT ck_orders_version CHECK (version >= 1)
);
COMMENT ON TABLE orders IS 'The current state of each order';
COMMENT ON COLUMN orders.owner_view IS 'the whole order as JSON';
COMMENT ON COLUMN orders.table_view IS 'what its table may see; null without a table';
CREATE INDEX ix_orders_open_store ON orders (store_id)
    WHERE status NOT IN ('rejected', 'paid', 'cancelled');
CREATE INDEX ix_orders_open_table ON orders (store_id, table_id)
    WHERE status NOT IN ('rejected', 'paid', 'cancelled');
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    shard integer NOT NULL,
    store_id text NOT NULL,
    channels text[] NOT NULL,
    seqs bigint[] NOT NULL,
    committed_after timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_outbox PRIMARY KEY (id)
);
COMMENT ON TABLE outbox IS 'Events that the relay has still to publish; each points into the log';
COMMENT ON COLUMN outbox.shard IS 'the Kafka partition of the store';
CREATE INDEX ix_outbox_shard_id ON outbox (shard, id);
CREATE TABLE relay_leases (
    shard serial NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_relay_leases PRIMARY KEY (shard)
);
COMMENT ON TABLE relay_leases IS
    'Which relay owns a shard; the fence is checked by the statement that deletes rows';
COMMENT ON COLUMN relay_leases.fence IS 'one up at each change of owner';
CREATE TABLE relay_members (
    relay text NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_relay_members PRIMARY KEY (relay)
);
COMMENT ON TABLE relay_members IS
    'The relays that are alive, so that each takes its fair share of shards';
CREATE TABLE order_items (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    name text NOT NULL,
    quantity integer NOT NULL,
    unit_price bigint NOT NULL,
    note text NOT NULL,
    CONSTRAINT pk_order_items PRIMARY KEY (order_id, line),
    CONSTRAINT ck_order_items_quantity CHECK (quantity >= 1),
    CONSTRAINT ck_order_items_unit_price CHECK (unit_price >= 0),
    CONSTRAINT fk_order_items_order_id FOREIGN KEY (order_id)
        REFERENCES orders (id) ON DELETE CASCADE
);
COMMENT ON TABLE order_items IS 'The lines of each order, for questions asked in SQL';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)
    name = epoch_name(time.time_ns() // 1_000_000, secrets.token_bytes(10))
    op.execute(sa.text("INSERT INTO epoch (epoch) VALUES (:name)").bindparams(name=name))


def downgrade() -> None:
    """Go back."""
    op.execute(
        "DROP TABLE order_items, relay_members, relay_leases, outbox, orders, idempotency_keys,"
        " epoch, channel_log, channel_heads"
    )
