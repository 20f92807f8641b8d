"""How each process of Core starts: settings, logs, a port, and then the work."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import uvloop
from pydantic_settings import BaseSettings

from core_api.logs import without_rows
from core_api.postgres.pool import Pool, open_pool
from core_api.setting_groups import DatabaseSettings
from server_common.logs import configure, get_logger
from server_common.settings.loader import load
from server_common.sockets import bind

_log = get_logger()

S = TypeVar("S", bound=BaseSettings)


class Place(NamedTuple):
    """Where a process listens, and the variable that names its port."""

    host: str
    port: int
    variable: str


@asynccontextmanager
async def connected(
    settings: DatabaseSettings, name: str, size: int, command_timeout_s: float, stopped: str
) -> AsyncIterator[Pool]:
    """Connections to the database for the time of a block: that of the process's work.

    Args:
        settings: where the database is.
        name: what the process calls itself there.
        size: how many connections.
        command_timeout_s: a statement is given up after this time.
        stopped: the line in the log that says that the process has stopped.
    """
    pool = await open_pool(
        settings.database_url,
        size=size,
        command_timeout_s=command_timeout_s,
        name=name,
        is_pooled=settings.is_pooled,
    )
    try:
        yield pool
    finally:
        pool.terminate()
        _log.info(stopped)


def start(
    name: str,
    settings: type[S],
    place: Callable[[S], Place],
    run: Callable[[S, socket.socket], Coroutine[Any, Any, None]],
) -> None:
    """Run a process until it is told to stop.

    Args:
        name: what its logs call it.
        settings: what is read from the environment.
        place: where it listens.
        run: the process, with its settings and its socket.

    Raises:
        SettingsError: it cannot start with its settings.
    """
    loaded = load(settings)
    configure(name, without_rows)
    uvloop.run(run(loaded, bind(*place(loaded))))
