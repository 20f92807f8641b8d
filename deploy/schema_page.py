"""Writes `docs/schema.md`, the tables that the migrations make: `python -m deploy.schema_page`."""

from __future__ import annotations

import asyncio
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg

from core_api.postgres import migrate
from deploy.local.postgres import EmbeddedPostgres

TARGET: Final = Path("docs/schema.md")
_HEAD: Final = """\
# The database

Made by `make docs` from what the migrations make; do not edit it by hand. Money is `bigint` in
minor units. JSON that is only passed through is `text`: Postgres need not parse it. A table with
a `fillfactor` has rows that most writes update in place: room on the page keeps such an update
off the indexes.
"""
_TABLES: Final = """
SELECT relname AS name, obj_description(oid, 'pg_class') AS meaning,
       array_to_string(reloptions, ', ') AS options
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
ORDER BY relname
"""
_COLUMNS: Final = """
SELECT attrelid::regclass::text AS "table", attname AS name, attnotnull AS is_required,
       format_type(atttypid, atttypmod) AS type, pg_get_expr(adbin, adrelid) AS by_default,
       attidentity <> '' AS is_identity, col_description(attrelid, attnum) AS meaning
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid::regclass::text, attnum
"""
_RULES: Final = """
SELECT conrelid::regclass::text AS "table", contype::text AS kind, conname AS name,
       conname || ': ' || pg_get_constraintdef(oid) AS rule
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
UNION ALL
SELECT indrelid::regclass::text, 'x', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint
                      WHERE conindid = indexrelid AND contype IN ('p', 'u'))
ORDER BY 1, 2, 3
"""


async def render(database_url: str) -> str:
    """The whole page, of a migrated database."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(_TABLES)
        columns = _by_table(await connection.fetch(_COLUMNS))
        rules = _by_table(await connection.fetch(_RULES))
    finally:
        await connection.close()
    parts = [_HEAD]
    for table in tables:
        name = table["name"]
        options = f" (`{table['options']}`)" if table["options"] else ""
        parts.append(f"\n## `{name}`\n\n{table['meaning']}{options}.\n\n")
        parts.append("| column | type | default | meaning |\n| --- | --- | --- | --- |\n")
        parts += [_column_row(column) for column in columns[name]]
        parts.append("\n")
        parts += [f"* `{rule['rule']}`\n" for rule in rules[name]]
    return "".join(parts)


def _by_table(rows: list[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    return {table: list(found) for table, found in groupby(rows, itemgetter("table"))}


def _column_row(column: asyncpg.Record) -> str:
    type_ = column["type"] if column["is_required"] else f"{column['type']} or null"
    default = f"`{column['by_default']}`" if column["by_default"] else ""
    if column["is_identity"]:
        default = "counted by Postgres"
    return f"| `{column['name']}` | {type_} | {default} | {column['meaning'] or ''} |\n"


async def _render_anew() -> str:
    with TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "data", durable=False)
        server.start()
        try:
            await migrate.upgrade(server.url)
            return await render(server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    TARGET.write_text(asyncio.run(_render_anew()))
    print(f"wrote {TARGET}", file=sys.stderr)
