"""Texts of rows that the disk has damaged: the database gives them, and they are no text."""

from __future__ import annotations

from core_api.postgres.pool import Pool


async def damage(pool: Pool, table: str, column: str, where: str, *values: object) -> None:
    """Put a byte that is no UTF-8 into a text column, which no insert could.

    Args:
        pool: the database.
        table: its name.
        column: what is damaged.
        where: an SQL condition on the rows.
        values: of the condition's parameters.
    """
    async with pool.acquire() as connection:
        await connection.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
        try:
            await connection.execute(
                f"UPDATE {table} SET {column} = '\\xff'::bytea::text WHERE {where}",
                *values,
            )
        finally:
            await connection.execute("DROP CAST (bytea AS text)")
