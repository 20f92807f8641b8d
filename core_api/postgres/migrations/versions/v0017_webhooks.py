"""Webhooks: the URLs that orders are sent to, and how far each store's log was sent.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0017"
down_revision = "0016"

_TABLES = """
CREATE TABLE webhooks (
    id text NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,
    generation integer NOT NULL,
    kid text NOT NULL,
    old_kid text,
    old_until timestamptz,
    state text NOT NULL DEFAULT 'active',
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_webhooks PRIMARY KEY (id),
    CONSTRAINT ck_webhooks_state CHECK (state IN ('active', 'disabled', 'ended')),
    CONSTRAINT ck_webhooks_generation CHECK (generation >= 1)
);
COMMENT ON TABLE webhooks IS 'The URLs that orders are sent to';
COMMENT ON COLUMN webhooks.types IS 'which events; empty: all';
COMMENT ON COLUMN webhooks.generation IS 'of the secret';
COMMENT ON COLUMN webhooks.kid IS 'the key that the secret comes from';
COMMENT ON COLUMN webhooks.old_kid IS 'that of the secret before; null: there is none';
COMMENT ON COLUMN webhooks.old_until IS 'until when that one signs, too';
CREATE INDEX ix_webhooks_made_by ON webhooks (made_by);
CREATE TABLE webhook_lanes (
    webhook_id text NOT NULL,
    store_id text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failure text,
    due_at timestamptz NOT NULL DEFAULT now(),
    held_until timestamptz NOT NULL DEFAULT now(),
    fence bigint NOT NULL DEFAULT 0,
    parked_at timestamptz,
    delivered_at timestamptz,
    CONSTRAINT pk_webhook_lanes PRIMARY KEY (webhook_id, store_id),
    CONSTRAINT fk_webhook_lanes_webhook_id FOREIGN KEY (webhook_id)
        REFERENCES webhooks (id) ON DELETE CASCADE,
    CONSTRAINT ck_webhook_lanes_seq CHECK (seq >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook_lanes IS 'How far each store''s log was sent to each URL';
COMMENT ON COLUMN webhook_lanes.epoch IS 'of the log that seq is of';
COMMENT ON COLUMN webhook_lanes.seq IS 'the last event that needs no sending';
COMMENT ON COLUMN webhook_lanes.failing_since IS 'null: the last attempt succeeded';
COMMENT ON COLUMN webhook_lanes.failure IS 'what the last attempt came to';
COMMENT ON COLUMN webhook_lanes.fence IS 'one up whenever somebody else decides on the lane';
CREATE INDEX ix_webhook_lanes_store_id ON webhook_lanes (store_id);
CREATE TABLE webhook_set_aside (
    webhook_id text NOT NULL,
    store_id text NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    failure text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_webhook_set_aside PRIMARY KEY (webhook_id, store_id, epoch, seq),
    CONSTRAINT fk_webhook_set_aside_webhook_id FOREIGN KEY (webhook_id)
        REFERENCES webhooks (id) ON DELETE CASCADE
);
COMMENT ON TABLE webhook_set_aside IS
    'Events that a receiver refused for an hour while it took others';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; every subscription and how far it was is forgotten."""
    op.execute("DROP TABLE webhook_set_aside, webhook_lanes, webhooks")
