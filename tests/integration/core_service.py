"""A Core in its own process with a real PostgreSQL, and the tokens for requests to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller, Role
from core_api.wiring import token_keys
from deploy.local.stack import Addresses, Keys, Stack, free_ports
from server_common.access.tickets import TicketKeys
from tests.forked import FORKED

KEYS = Keys(token="t" * 32, ticket="k" * 32, devices="d" * 32, webhooks="w" * 32, push="p" * 43)
ITEM = {"name": "김밥", "quantity": 2, "unit_price": 3500}


@dataclass
class CoreService:
    """One Core. Each test uses its own store, so tests do not see each other."""

    database: str
    stack: Stack
    client: httpx.AsyncClient = field(repr=False)

    @classmethod
    def start(cls, database: str, folder: Path, extra: dict[str, str] | None = None) -> CoreService:
        """Start Core on a migrated database."""
        stack = Stack(
            Addresses(database, "127.0.0.1:1", ports=free_ports()),
            KEYS,
            folder,
            extra or {},
            starter=FORKED,
        )
        stack.core.start()
        stack.core.wait_ready(120)
        return cls.over(database, stack)

    @classmethod
    def over(cls, database: str, stack: Stack) -> CoreService:
        """A Core that already runs, with a client for the current event loop."""
        client = httpx.AsyncClient(base_url=stack.core_url, timeout=30)
        return cls(database, stack, client)

    def stop(self) -> None:
        """Kill it. No test needs the work that it has left."""
        self.stack.core.kill()

    @property
    def tickets(self) -> TicketKeys:
        """The keys that verify its tickets."""
        return TicketKeys({"local": KEYS.ticket.encode()}, "local")


def token(
    role: Role,
    *stores: str,
    table: str | None = None,
    device: str | None = None,
    lifetime_s: int = 600,
) -> str:
    """A token of the role for these stores, this table (`12/5`) or this device (`12/bell-1`)."""
    keys = token_keys({"local": KEYS.token}, "local")
    channel = parse_channel(f"table:{table}") if table else None
    subject = f"{role}-{'-'.join(stores)}{table or ''}"[:200]
    caller = Caller(subject, role, frozenset(stores), channel)
    if device is not None:
        caller = Caller(f"device-{device}", role, device=parse_channel(f"device:{device}"))
    return keys.sign(caller, lifetime_s)


def bearer(text: str, **more: str) -> dict[str, str]:
    """Headers with the token. Underscores in other names become dashes."""
    headers = {"authorization": f"Bearer {text}"} if text else {}
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def new_store() -> str:
    """A store that no other test uses."""
    return uuid.uuid4().hex[:12]


def an_order(store: str, table: str | None = "5", **more: Any) -> dict[str, Any]:
    """The body of an order."""
    return {
        "store_id": store,
        "table_id": table,
        "currency": "KRW",
        "items": [ITEM],
        "guest": {"name": "Kim", "phone": "010-5550"},
    } | more
