"""Clients of edits by subject: how many one may have is limited, so they are counted.

Builds an index beside what is written, so it runs while everything else goes on.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

_INDEX = "ix_edit_clients_subject"


def upgrade() -> None:
    """Go forward."""
    with op.get_context().autocommit_block():
        # One that a stopped build has left behind is not valid.
        op.drop_index(_INDEX, "edit_clients", postgresql_concurrently=True, if_exists=True)
        op.create_index(_INDEX, "edit_clients", ["subject"], postgresql_concurrently=True)


def downgrade() -> None:
    """Go back."""
    with op.get_context().autocommit_block():
        op.drop_index(_INDEX, "edit_clients", postgresql_concurrently=True, if_exists=True)
