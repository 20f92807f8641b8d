"""The measured processes: Core and its rival."""

from __future__ import annotations

import sys
from pathlib import Path

from core_api.access.callers import Caller
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.bench.edits.cases import CLIENTS, System
from tests.bench.sync.systems import KEYS, token_maker


class Serving:
    """One process that settles edits with one database.

    Args:
        system: Core or its rival.
        database: the URL of the database.
        folder: for its log.
    """

    def __init__(self, system: System, database: str, folder: Path) -> None:
        stack = Stack(Addresses(database, "127.0.0.1:1", ports=free_ports()), KEYS, folder)
        if system == "yabam":
            self.url = stack.core_url
            self.process = stack.core
            return
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process(
            system,
            [sys.executable, "-m", "tests.bench.edits.rivals", str(port)],
            stack.environment,
            folder / f"{system}.log",
            self.url,
        )

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_ready(30)


def tokens(count: int = CLIENTS) -> list[str]:
    """Tokens of this many people who may edit the documents of every table."""
    sign = token_maker()
    return [sign(Caller(f"till-{n}", "owner", frozenset({"*"}))) for n in range(count)]
