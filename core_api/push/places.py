"""Rows by their place in their table: it is known also of a row whose every text is damaged.

A place changes whenever its row is written, so a row that was repaired has another one.
"""

from __future__ import annotations

from core_api.postgres.pool import Pool, any_error_mapped


def at_places(row: str, parameter: int) -> str:
    """The SQL condition that a row is at one of some places.

    Args:
        row: its name in the statement.
        parameter: the number of the parameter that has the places.
    """
    return f"{row}.ctid = ANY(${parameter}::text[]::tid[])"


async def all_places(pool: Pool, table: str) -> list[str]:
    """The places of all rows of a table of ours. Raises UnavailableError."""
    with any_error_mapped():
        rows = await pool.fetch(f"SELECT ctid::text FROM {table}")  # noqa: S608
    return [row[0] for row in rows]
