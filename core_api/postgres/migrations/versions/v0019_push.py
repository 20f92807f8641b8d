"""Pushes: the owners' browsers that are told of orders which no terminal receives.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0019"
down_revision = "0018"

_TABLES = """
CREATE TABLE push_subscriptions (
    store_id text NOT NULL,
    device text NOT NULL,
    endpoint text NOT NULL,
    origin text NOT NULL,
    p256dh text NOT NULL,
    auth text NOT NULL,
    language text NOT NULL,
    subject text NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now(),
    epoch text NOT NULL,
    seq bigint NOT NULL,
    pushed_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failure text,
    due_at timestamptz NOT NULL DEFAULT now(),
    held_until timestamptz NOT NULL DEFAULT now(),
    fence bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_push_subscriptions PRIMARY KEY (store_id, device),
    CONSTRAINT ck_push_subscriptions_seq CHECK (seq >= 0)
);
COMMENT ON TABLE push_subscriptions IS
    'The owners'' browsers that are told of orders which no terminal receives';
COMMENT ON COLUMN push_subscriptions.device IS 'the browser''s own name';
COMMENT ON COLUMN push_subscriptions.endpoint IS 'where its push service takes messages';
COMMENT ON COLUMN push_subscriptions.origin IS 'of the endpoint';
COMMENT ON COLUMN push_subscriptions.p256dh IS 'its public key';
COMMENT ON COLUMN push_subscriptions.auth IS 'what else only it and its page know';
COMMENT ON COLUMN push_subscriptions.epoch IS 'of the log that seq is of';
COMMENT ON COLUMN push_subscriptions.seq IS 'it was told of all orders up to here';
COMMENT ON COLUMN push_subscriptions.failing_since IS 'null: the last attempt succeeded';
COMMENT ON COLUMN push_subscriptions.failure IS 'what the last attempt came to';
COMMENT ON COLUMN push_subscriptions.fence IS 'one up whenever somebody else decides on it';
CREATE INDEX ix_push_subscriptions_renewed_at ON push_subscriptions (renewed_at);
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; every browser subscribes anew when its page is opened after the next upgrade."""
    op.drop_table("push_subscriptions")
