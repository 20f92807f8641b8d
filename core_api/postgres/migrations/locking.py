"""Alters tables that orders are written to, without delaying the orders."""

from __future__ import annotations

import time
from typing import Final

import sqlalchemy as sa
from alembic import op

_LOCK_NOT_AVAILABLE: Final = "55P03"


def alter_at_once(statement: str) -> None:
    """Run the statement as soon as it gets its lock; call it in an autocommit block.

    Every order would wait behind a statement that waits for this lock, perhaps for a backup that
    reads the table for an hour. So it uses a short lock time-out, and retries.
    """
    op.execute("SET lock_timeout = '200ms'")
    while True:
        try:
            op.execute(statement)
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            time.sleep(0.5)
        else:
            break
    op.execute("RESET lock_timeout")
