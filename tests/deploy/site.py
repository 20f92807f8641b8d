"""The whole system behind a real nginx: two Cores, two event servers, one address for all."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Stack, free_ports, load_keys
from deploy.processes.ports import free_port
from tests.data_folder import data_folder
from tests.deploy.edge import Nginx
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED


class Site:
    """The system, and the store that a test uses.

    Args:
        stack: all processes of ours.
        nginx: what stands before them.
        token: an owner's, for every store.
    """

    def __init__(self, stack: Stack, nginx: Nginx, token: str) -> None:
        self.stack = stack
        self.nginx = nginx
        self.token = token
        self.events = [one for one in stack.processes if one.name.startswith("events")]
        self.choose_store()

    def choose_store(self) -> None:
        """From now on another store, which has no orders."""
        self.store = uuid.uuid4().hex[:8]
        self.channel = f"store:{self.store}"

    def transport(self) -> httpx.AsyncHTTPTransport:
        """What trusts nginx's certificate."""
        return httpx.AsyncHTTPTransport(verify=self.nginx.trust)

    def mend(self) -> None:
        """Start anew what a test has killed, and return once all are ready."""
        for process in self.stack.processes:
            if process.exit_status is not None:
                process.start()
        for process in self.stack.processes:
            process.wait_ready(30)

    async def ended_streams(self, since: int, count: int) -> list[dict[str, Any]]:
        """The first streams that ended after so many log entries, as the access log has them."""
        while True:
            found = [entry for entry in self.nginx.requests()[since:] if _is_stream(entry)]
            if len(found) >= count:
                return found[:count]
            await asyncio.sleep(0.05)


@contextmanager
def started(settings: Mapping[str, str]) -> Iterator[Site]:
    """All of it, running; `settings` are those of every process."""
    with data_folder("yabam-site-") as folder:
        postgres = DrilledPostgres(folder / "postgres", durable=False)
        broker = EmbeddedBroker(folder)
        postgres.start()
        broker.start()
        ports, more = free_ports(), (free_port(), free_port())
        nginx = Nginx(folder / "nginx", [ports.core, more[0]], [ports.events, more[1]])
        keys = load_keys(folder / "keys.json")
        one_origin = {"YABAM_STREAM_URL": f"{nginx.url}/v1/stream", "YABAM_CORS_ORIGINS": "[]"}
        addresses = Addresses(postgres.url, broker.bootstrap, ports=ports)
        stack = Stack(addresses, keys, folder, {**settings, **one_origin}, starter=FORKED)
        stack.add("core", more[0])
        stack.add("events", more[1])
        owner = Caller("owner", "owner", frozenset("*"))
        try:
            stack.migrate()
            stack.start()
            nginx.start()
            yield Site(stack, nginx, token_keys({"local": keys.token}, "local").sign(owner, 3600))
        finally:
            nginx.stop()
            stack.kill()
            broker.kill()
            postgres.stop_at_once()


def _is_stream(entry: dict[str, Any]) -> bool:
    return bool(entry["path"] == "/v1/stream" and entry["status"] == 200)
