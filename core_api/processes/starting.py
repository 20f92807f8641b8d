"""How each process of Core starts: settings, logs, a port, then its work."""

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
    """A pool of connections to the database, open while the block runs.

    Args:
        settings: where the database is.
        name: the application name of the connections.
        size: how many connections.
        command_timeout_s: the time-out of a statement.
        stopped: the log event written when the process has stopped.
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
        name: its name in the logs.
        settings: the class of settings to read from the environment.
        place: the address on which it listens.
        run: the process, with its settings and its socket.

    Raises:
        SettingsError: the settings are invalid.
    """
    loaded = load(settings)
    configure(name, without_rows)
    uvloop.run(run(loaded, bind(*place(loaded))))
