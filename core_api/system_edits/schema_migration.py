"""`yabam state migrate`: values of older schema versions become values of the newest.

Each is written as a version with an event, as any edit is. It can be stopped at any time, and goes
on when it is run again. Any number may run side by side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg
from msgspec import Struct

from client_sdk.contract.errors import StateError
from core_api.documents.definitions import Definitions
from core_api.documents.new_version import migrated
from core_api.documents.refusals import RefusedEditError
from core_api.edits.lifetimes import ends_at
from core_api.edits.plan import Rules
from core_api.errors import UnreadableRowError
from core_api.postgres.pool import PLANNER, Primary, mapped_errors
from core_api.system_edits.changes import SystemEdit
from core_api.system_edits.locked_rows import LockedRow, lock_outdated
from core_api.system_edits.writing import write_system_edits

if TYPE_CHECKING:
    from core_api.edits.reading import Connection

_DOCUMENTS: Final = 50
"""How many documents are read, and locked, at once."""

_WALK: Final = """
SELECT channel, key, schema FROM documents WHERE (channel, key) > ($1, $2) AND value IS NOT NULL
ORDER BY channel, key LIMIT $3
"""


class Migrated(Struct):
    """The result for all documents."""

    documents: int = 0
    """How many have the newest schema now."""
    failed: list[str] = []
    """Those that were left as they are, each with the reason."""


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database, for the time of one command."""
    connection = await Primary(database_url).connect(server_settings=PLANNER)
    try:
        yield connection
    finally:
        await connection.close()


async def migrate_values(
    connection: asyncpg.Connection, rules: Rules, batch: int = _DOCUMENTS
) -> Migrated:
    """Migrate all documents whose value fits an older schema than their definition's newest.

    Args:
        connection: to the database.
        rules: what holds for all edits; by its definitions the values are migrated.
        batch: how many documents are processed in one transaction.

    Raises:
        UnavailableError: Postgres does not answer; values migrated before stay migrated.
    """
    done = Migrated()
    last = ("", "")
    with mapped_errors():
        while rows := await connection.fetch(_WALK, *last, batch):
            last = (rows[-1][0], rows[-1][1])
            outdated = [
                (channel, key, newest)
                for channel, key, schema in rows
                if schema < (newest := _newest(rules.definitions, channel, key))
            ]
            if outdated:
                await _migrate_around(connection, outdated, rules, done)
    return done


async def _migrate_around(
    connection: asyncpg.Connection,
    outdated: Sequence[tuple[str, str, int]],
    rules: Rules,
    done: Migrated,
) -> None:
    """Migrate these; an unreadable one is reported, and the others go on."""
    try:
        async with connection.transaction(isolation="read_committed"):
            await _migrate(connection, outdated, rules, done)
        return
    except UnreadableRowError as error:
        if len(outdated) == 1:
            channel, key, _ = outdated[0]
            done.failed.append(f"{channel} {key}: {error}")
            return
    middle = len(outdated) // 2
    for part in (outdated[:middle], outdated[middle:]):
        await _migrate_around(connection, part, rules, done)


async def _migrate(
    connection: Connection, outdated: Sequence[tuple[str, str, int]], rules: Rules, done: Migrated
) -> None:
    edits = []
    locked = await lock_outdated(connection, list(outdated))
    for row in locked:
        try:
            edits.append(_edit(row, rules.definitions))
        except (StateError, RefusedEditError, ValueError) as error:
            done.failed.append(f"{row.name} at version {row.version}: {error}")
    if edits:
        await write_system_edits(connection, edits, locked[0].now, rules)
        done.documents += len(edits)


def _edit(row: LockedRow, definitions: Definitions) -> SystemEdit:
    channel, head = row.place(), row.head()
    definition = definitions.of(channel.kind, row.key)
    if definition is None:
        raise StateError("it has no definition")
    return SystemEdit(
        channel,
        row.key,
        head,
        migrated(head, definition, row.now),
        ends_at(definition, row.now),
    )


def _newest(definitions: Definitions, channel: str, key: str) -> int:
    """The newest schema of the document; 0: it has no definition, so there is nothing to do."""
    definition = definitions.of(channel.partition(":")[0], key)
    return 0 if definition is None else definition.schema_version
