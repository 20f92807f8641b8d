"""Guests' phones that are told when an order of their table is ready.

Makes a table, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0020"
down_revision = "0019"

_TABLES = """
CREATE TABLE guest_pushes (
    store_id text NOT NULL,
    table_id text NOT NULL,
    device text NOT NULL,
    endpoint text NOT NULL,
    origin text NOT NULL,
    p256dh text NOT NULL,
    auth text NOT NULL,
    language text NOT NULL,
    subject text NOT NULL,
    issued_at bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now(),
    epoch text NOT NULL,
    seq bigint NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    failure text,
    due_at timestamptz NOT NULL DEFAULT now(),
    held_until timestamptz NOT NULL DEFAULT now(),
    fence bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_guest_pushes PRIMARY KEY (store_id, table_id, device),
    CONSTRAINT ck_guest_pushes_seq CHECK (seq >= 0)
);
COMMENT ON TABLE guest_pushes IS
    'The guests'' phones that are told when an order of their table is ready';
COMMENT ON COLUMN guest_pushes.device IS 'the phone''s own name';
COMMENT ON COLUMN guest_pushes.endpoint IS 'where its push service takes messages';
COMMENT ON COLUMN guest_pushes.origin IS 'of the endpoint';
COMMENT ON COLUMN guest_pushes.p256dh IS 'its public key';
COMMENT ON COLUMN guest_pushes.auth IS 'what else only it and its page know';
COMMENT ON COLUMN guest_pushes.issued_at IS
    'when the guest''s token was made, in seconds since 1970';
COMMENT ON COLUMN guest_pushes.expires_at IS 'when that token ends';
COMMENT ON COLUMN guest_pushes.epoch IS 'of the log that seq is of';
COMMENT ON COLUMN guest_pushes.seq IS 'it was told of all orders up to here';
COMMENT ON COLUMN guest_pushes.failing_since IS 'null: the last attempt succeeded';
COMMENT ON COLUMN guest_pushes.failure IS 'what the last attempt came to';
COMMENT ON COLUMN guest_pushes.fence IS 'one up whenever somebody else decides on it';
CREATE INDEX ix_guest_pushes_renewed_at ON guest_pushes (renewed_at);
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; a guest asks again for notifications after the next upgrade."""
    op.drop_table("guest_pushes")
