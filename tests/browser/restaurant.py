"""The whole system for one test module, and what its people do through the API."""

from __future__ import annotations

import asyncio
import re
import uuid
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

import httpx

from client_sdk.contract.channel import Channel
from core_api.access import Caller
from core_api.main import token_keys
from deploy.local.stack import Addresses, Stack, free_ports, load_keys

# So that a test of a fault and its end takes seconds: the same settings that an installation has,
# set for a short memory.
_BRISK: Final = {
    "YABAM_EVENTS_FETCH_WAIT_MS": "10",
    "YABAM_POLL_AFTER_MS": "500",
}
_TOKEN_LIFETIME_S: Final = 3600
_stores = count(1)


class Site:
    """An installation of its own, started as processes."""

    def __init__(self, database: str, kafka: str, folder: Path) -> None:
        self.keys = load_keys(folder / "keys.json")
        name = uuid.uuid4().hex[:12]
        topics = {
            "YABAM_EVENTS_TOPIC": f"order-events-{name}",
            "YABAM_INBOUND_TOPIC": f"orders.inbound-{name}",
            "YABAM_INBOUND_DLQ_TOPIC": f"orders.inbound.dlq-{name}",
        }
        addresses = Addresses(database, kafka, ports=free_ports())
        self.stack = Stack(addresses, self.keys, folder, topics | _BRISK)

    def token(
        self,
        role: Literal["owner", "table", "ops"],
        *stores: str,
        table: Channel | None = None,
        lifetime_s: int = _TOKEN_LIFETIME_S,
    ) -> str:
        """A token of the role for these stores or this table."""
        keys = token_keys({"local": self.keys.token}, "local")
        return keys.sign(Caller(f"{role}-1", role, frozenset(stores), table), lifetime_s)

    async def streams(self) -> int:
        """How many streams the event server holds now."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(
                f"{self.stack.events_url}/metrics",
                headers={"authorization": f"Bearer {self.token('ops')}"},
            )
            answer.raise_for_status()
        found = re.search(r"^yabam_events_connections ([0-9.e+]+)$", answer.text, re.MULTILINE)
        assert found is not None, answer.text
        return int(float(found[1]))


class Store:
    """One store that no other test uses: its orders, its tokens, its pages."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.id = f"s{next(_stores)}"
        self.owner = site.token("owner", self.id)
        self._client = httpx.AsyncClient(
            base_url=site.stack.core_url,
            headers={"authorization": f"Bearer {self.owner}"},
            timeout=30,
        )

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    @property
    def terminal_url(self) -> str:
        """The terminal, with the owner's token in the fragment."""
        return f"{self.site.stack.core_url}/terminal#token={self.owner}"

    def table_url(self, table_id: str) -> str:
        """A table's page, with its token in the fragment."""
        token = self.site.token("table", table=Channel("table", self.id, table_id))
        return f"{self.site.stack.core_url}/table#token={token}"

    async def place(self, **fields: Any) -> dict[str, Any]:
        """Place an order; `fields` replace those of a small meal at table 5."""
        body = {
            "store_id": self.id,
            "table_id": "5",
            "currency": "KRW",
            "items": [{"name": "비빔밥 Bibimbap", "quantity": 2, "unit_price": 9500}],
        } | fields
        answer = await self._client.post("/v1/orders", json=body)
        answer.raise_for_status()
        return dict(answer.json())

    async def step(self, order: dict[str, Any], to: str, **fields: Any) -> dict[str, Any]:
        """Take the order one step further."""
        path = f"/v1/orders/{order['id']}/transitions"
        answer = await self._client.post(path, json={"to": to} | fields)
        answer.raise_for_status()
        return dict(answer.json())

    async def change(self, order: dict[str, Any], **fields: Any) -> None:
        """Replace the order's items or note."""
        answer = await self._client.patch(f"/v1/orders/{order['id']}", json=fields)
        answer.raise_for_status()

    async def read(self, order_id: str) -> dict[str, Any]:
        """The order as Core has it."""
        answer = await self._client.get(f"/v1/orders/{order_id}")
        answer.raise_for_status()
        return dict(answer.json())

    async def open_orders(self) -> list[dict[str, Any]]:
        """All open orders of the store, as Core has them."""
        answer = await self._client.get("/v1/sync", params={"channel": f"store:{self.id}"})
        answer.raise_for_status()
        (channel,) = answer.json()["channels"]
        return list(channel["snapshot"]["orders"])


async def until_ready(*processes: Any, timeout_s: float = 60) -> None:
    """Return once the processes say that they are ready."""
    for process in processes:
        await asyncio.to_thread(process.wait_ready, timeout_s)
