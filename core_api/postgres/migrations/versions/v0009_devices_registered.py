"""Devices that an owner has registered: who they are, what they said, what they were told.

Makes tables only, so it runs while everything else is written.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0009"
down_revision = "0008"

_TABLES = """
CREATE TABLE device_registrations (
    store_id text NOT NULL,
    device_id text NOT NULL,
    generation integer NOT NULL,
    kid text NOT NULL,
    media text[] NOT NULL,
    table_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    change bigint NOT NULL,
    CONSTRAINT pk_device_registrations PRIMARY KEY (store_id, device_id),
    CONSTRAINT ck_device_registrations_ck_device_registrations_generation CHECK (generation >= 1)
);
COMMENT ON TABLE device_registrations IS
    'The devices that may connect; a removed one keeps its row and its generation';
COMMENT ON COLUMN device_registrations.kid IS 'the key its password comes from';
COMMENT ON COLUMN device_registrations.media IS 'what it prints';
COMMENT ON COLUMN device_registrations.table_id IS 'the table whose bell it rings';
COMMENT ON COLUMN device_registrations.change IS
    'grows with each change of any device, in the order of the commits';
CREATE UNIQUE INDEX ix_device_registrations_change ON device_registrations (change);
CREATE TABLE device_presence (
    store_id text NOT NULL,
    device_id text NOT NULL,
    generation integer NOT NULL,
    connection text NOT NULL,
    boot bigint NOT NULL,
    at bigint NOT NULL,
    online boolean NOT NULL,
    heard_at timestamptz NOT NULL,
    partition integer NOT NULL,
    CONSTRAINT pk_device_presence PRIMARY KEY (store_id, device_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE device_presence IS 'The newest status of each device, and when it was last heard';
COMMENT ON COLUMN device_presence.at IS 'the device''s own clock';
COMMENT ON COLUMN device_presence.partition IS 'of devices.inbound';
CREATE INDEX ix_device_presence_heard_at ON device_presence (heard_at) WHERE online;
CREATE TABLE device_received (
    store_id text NOT NULL,
    device_id text NOT NULL,
    generation integer NOT NULL,
    boot bigint NOT NULL,
    floor bigint NOT NULL,
    newest bigint NOT NULL,
    missing bigint[] NOT NULL,
    CONSTRAINT pk_device_received PRIMARY KEY (store_id, device_id, generation, boot)
) WITH (fillfactor = 50);
COMMENT ON TABLE device_received IS 'Which messages of each boot of a device are applied';
COMMENT ON COLUMN device_received.floor IS 'below it nothing is known';
COMMENT ON COLUMN device_received.missing IS 'numbers between the two that have not come';
CREATE TABLE device_commands (
    store_id text NOT NULL,
    device_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    arguments text NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    asked_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    told_at timestamptz,
    CONSTRAINT pk_device_commands PRIMARY KEY (store_id, device_id, id)
);
COMMENT ON TABLE device_commands IS 'What devices were asked to do, and their answers';
COMMENT ON COLUMN device_commands.arguments IS 'as JSON';
COMMENT ON COLUMN device_commands.told_at IS 'when its alert was published';
CREATE INDEX ix_device_commands_expires_at ON device_commands (expires_at) WHERE state = 'sent';
CREATE INDEX ix_device_commands_untold ON device_commands (expires_at)
    WHERE state = 'expired' AND told_at IS NULL;
CREATE INDEX ix_device_commands_created_at ON device_commands (created_at);
CREATE TABLE device_snapshots (
    store_id text NOT NULL,
    device_id text NOT NULL,
    media_type text NOT NULL,
    picture bytea NOT NULL,
    sha256 text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_device_snapshots PRIMARY KEY (store_id, device_id)
);
COMMENT ON TABLE device_snapshots IS 'The newest picture of each device';
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; registrations and commands are lost, their documents stay."""
    op.execute(
        "DROP TABLE device_snapshots, device_commands, device_received, device_presence,"
        " device_registrations"
    )
