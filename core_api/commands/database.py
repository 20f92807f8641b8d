"""`yabam db`, `relay set-aside` and `state migrate`: work on the database, once."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from client_sdk.command_line.output import say
from client_sdk.contract.channel import event_id
from core_api.errors import CoreError
from core_api.postgres import migrate
from core_api.postgres.pool import Pool, open_pool
from core_api.processes.state_migration import migrate_state
from core_api.relay.set_aside import statements
from core_api.restore.main import begin_epoch, look_for_restore
from core_api.setting_groups import DatabaseSettings
from core_api.settings import RestoreSettings, StateSettings
from server_common.settings.loader import load

A = TypeVar("A")

_SIGNS_SHOWN: Final = 10
_MAX_LISTED: Final = 1000


def upgrade(options: Namespace) -> None:
    """Migrate forward."""
    on_database(migrate.upgrade(database_url(), options.revision))
    say(options, f"the database is at {options.revision}", {"revision": options.revision})


def downgrade(options: Namespace) -> None:
    """Migrate back."""
    on_database(migrate.downgrade(database_url(), options.revision))
    say(options, f"the database is at {options.revision}", {"revision": options.revision})


def new_epoch(options: Namespace) -> None:
    """Make every client start anew."""
    epoch = on_database(begin_epoch(load(RestoreSettings)))
    say(options, epoch, {"epoch": epoch})


def restore_check(options: Namespace) -> int:
    """Look for signs of a restore.

    Returns:
        1 if there are signs and `--look` was given, else 0.
    """
    settings = load(RestoreSettings)
    found = on_database(look_for_restore(settings))
    for sign in found[:_SIGNS_SHOWN]:
        say(options, sign, {"sign": sign})
    if not found:
        compared = "its identity and what Kafka has" if settings.kafka else "its identity only"
        told = f"nothing shows that the database went back (compared: {compared})"
        say(options, told, {"signs": 0, "compared": compared})
        return 0
    if options.look:
        told = f"{len(found)} signs that the database went back: run `yabam db new-epoch`"
        say(options, told, {"signs": len(found)})
        return 1
    new_epoch(options)
    return 0


def migrate_documents(options: Namespace) -> int:
    """Write documents as the newest schema has them.

    Returns:
        0: all documents have the newest schema; 1: some could not be migrated, and are listed.
    """
    done = on_database(migrate_state(load(StateSettings)))
    told = [f"{done.documents} documents migrated"]
    told += [f"left as it is: {line}" for line in done.failed]
    say(options, "\n".join(told), {"documents": done.documents, "failed": list(done.failed)})
    return 1 if done.failed else 0


def list_set_aside(options: Namespace) -> None:
    """Show the events that Kafka has refused."""
    for one in _of_set_aside(lambda pool: statements.list_set_aside(pool, _MAX_LISTED)):
        events = list(map(event_id, one.channels, one.seqs))
        told = f"{one.id}  {one.at:%Y-%m-%dT%H:%M:%SZ}  {','.join(events)}  {one.reason}"
        say(options, told, {"id": one.id, "at": one.at, "events": events, "reason": one.reason})


def retry_set_aside(options: Namespace) -> None:
    """Put events that Kafka has refused back into the outbox."""
    count = _of_set_aside(lambda pool: statements.retry_set_aside(pool, options.id))
    say(options, f"{count} put back into the outbox", {"put_back": count})


def database_url() -> str:
    """Where the database itself is, by the settings."""
    return load(DatabaseSettings).session_url


def _of_set_aside(work: Callable[[Pool], Awaitable[A]]) -> A:
    return on_database(with_pool("yabam-set-aside", 60.0, work))


async def with_pool(name: str, command_timeout_s: float, work: Callable[[Pool], Awaitable[A]]) -> A:
    """What the work gives, on a connection of its own.

    Args:
        name: what it calls itself at the database.
        command_timeout_s: a statement is given up after this time.
        work: is given the connection.
    """
    pool = await open_pool(database_url(), size=1, command_timeout_s=command_timeout_s, name=name)
    try:
        return await work(pool)
    finally:
        pool.terminate()


def on_database(work: Coroutine[None, None, A]) -> A:
    """Do it.

    Raises:
        CoreError: the database refused or failed.
    """
    try:
        return asyncio.run(work)
    except (OSError, SQLAlchemyError, asyncpg.PostgresError) as error:
        reason = str(error).partition("\n")[0]
        raise CoreError(f"the database refused or failed: {reason}") from error
