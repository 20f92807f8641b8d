"""How each process of Core starts: settings, logs, a port, and then the work."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import uvloop
from pydantic_settings import BaseSettings

from core_api.logs import without_rows
from server_common.logs import configure
from server_common.settings.loader import load
from server_common.sockets import bind

S = TypeVar("S", bound=BaseSettings)


class Place(NamedTuple):
    """Where a process listens, and the variable that names its port."""

    host: str
    port: int
    variable: str


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
