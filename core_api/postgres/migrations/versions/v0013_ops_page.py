"""What the ops page remembers: a day of points, which Core takes them, who has acknowledged what.

Makes tables, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.scripts import run

revision = "0013"
down_revision = "0012"

_TABLES = """
CREATE TABLE ops_sampling (
    id smallint NOT NULL,
    owner text NOT NULL,
    until timestamptz NOT NULL,
    CONSTRAINT pk_ops_sampling PRIMARY KEY (id)
);
COMMENT ON TABLE ops_sampling IS 'Which Core keeps the points of the ops page, and until when';
COMMENT ON COLUMN ops_sampling.id IS 'always 1';
CREATE TABLE ops_points (
    at timestamptz NOT NULL,
    point text NOT NULL,
    CONSTRAINT pk_ops_points PRIMARY KEY (at)
);
COMMENT ON TABLE ops_points IS 'The figures of the ops page, a point a minute, for a day';
CREATE TABLE ops_acknowledgements (
    alert text NOT NULL,
    subject text NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_ops_acknowledgements PRIMARY KEY (alert)
);
COMMENT ON TABLE ops_acknowledgements IS 'Who acknowledged an alert of the ops page last, and when';
COMMENT ON COLUMN ops_acknowledgements.subject IS 'of the token: who';
CREATE INDEX ix_ops_acknowledgements_at ON ops_acknowledgements (at);
"""


def upgrade() -> None:
    """Go forward."""
    run(_TABLES)


def downgrade() -> None:
    """Go back; the day and all acknowledgements are forgotten."""
    op.execute("DROP TABLE ops_acknowledgements, ops_points, ops_sampling")
