"""A digest of the open orders' content. Runs while orders are written."""

from __future__ import annotations

from alembic import op

from core_api.postgres.migrations.locking import alter_at_once

revision = "0006"
down_revision = "0005"

# A channel that has events begins with a content_head behind its head, so its content digest is not
# believed before Core has computed it; a Core from before goes on writing meanwhile. Constant
# defaults: no row is written anew.
_ADD = """
ALTER TABLE channel_heads
    ADD COLUMN IF NOT EXISTS content_digest bit(128) NOT NULL DEFAULT B'0'::bit(128),
    ADD COLUMN IF NOT EXISTS content_head bigint NOT NULL DEFAULT 0
"""
_DROP = """
ALTER TABLE channel_heads
    DROP COLUMN IF EXISTS content_digest, DROP COLUMN IF EXISTS content_head
"""
_COMMENTS = {
    "content_digest": "of the open orders'' content; true while content_head is the head",
    "content_head": "the head, less the events that no content digest was kept for",
}


def upgrade() -> None:
    """Go forward."""
    with op.get_context().autocommit_block():
        alter_at_once(_ADD)
    for column, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN channel_heads.{column} IS '{comment}'")


def downgrade() -> None:
    """Go back."""
    with op.get_context().autocommit_block():
        alter_at_once(_DROP)
