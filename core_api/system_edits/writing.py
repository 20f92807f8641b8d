"""Writes Core's own changes of documents, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core_api.edits.plan import Rules
from core_api.edits.reading import Connection
from core_api.edits.writing import write_plan
from core_api.system_edits.changes import SystemEdit, system_rows


async def write_system_edits(
    connection: Connection, edits: Sequence[SystemEdit], now: datetime, rules: Rules
) -> int:
    """Write these changes, each of another document. Returns how many were written: a change is
    skipped if its document has changed since it was read.

    Args:
        connection: with a transaction.
        edits: what is to be written.
        now: by the database's clock.
        rules: what holds for all edits.
    """
    stale = await write_plan(connection, system_rows(edits, now, rules), rules.partitions)
    return len(edits) - len(stale)
