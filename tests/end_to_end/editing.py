"""Changes documents all the time, in every kind of channel that a store's people may see."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from client_sdk.contract.channel import parse_channel
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.stack import Keys


def sign(keys: Keys, caller: Caller) -> str:
    """An access token, signed with an installation's key."""
    return token_keys({"local": keys.token}, "local").sign(caller, 3600)


def guest(store: str, table: str, brand: str | None = None) -> Caller:
    """A guest at a table."""
    return Caller(
        f"guest-{store}-{table}", "table", table=parse_channel(f"table:{store}/{table}"),
        brand=brand,
    )  # fmt: skip


class Editor:
    """One client that sets documents; each of its edits is based on the newest version."""

    def __init__(self, core_url: str, token: str) -> None:
        self._core_url = core_url
        self._headers = {"authorization": f"Bearer {token}"}
        self._client = uuid.uuid4().hex
        self._n = 0
        self.versions: Counter[tuple[str, str]] = Counter()

    async def set(self, http: httpx.AsyncClient, channel: str, key: str, value: Any) -> None:
        """Set one document, which no other client may change."""
        base = self.versions[channel, key]
        edit = {
            "n": self._n + 1, "channel": channel, "key": key, "base": base, "do": {"set": value},
        }  # fmt: skip
        answer = await http.post(
            f"{self._core_url}/v1/edits",
            json={"client": self._client, "edits": [edit]},
            headers=self._headers,
        )
        assert answer.status_code == 200, answer.text
        (outcome,) = answer.json()["outcomes"]
        assert outcome["outcome"] == "applied", outcome
        self._n += 1
        self.versions[channel, key] = outcome["version"]

    @property
    def edits(self) -> int:
        """How many edits it has made."""
        return self._n


class Editors:
    """The clients that edit documents of one store, its parties, its brand, and of all stores."""

    def __init__(self, core_url: str, keys: Keys, store: str, tables: Sequence[str]) -> None:
        brand = f"of-{store}"[:64]
        self._owner = Editor(
            core_url, sign(keys, Caller(f"o-{store}", "owner", frozenset({store})))
        )
        self._keeper = Editor(core_url, sign(keys, Caller(f"k-{brand}", "brand", brand=brand)))
        self._ops = Editor(core_url, sign(keys, Caller(f"ops-{store}", "ops")))
        self._store, self._tables, self._brand = store, tables, brand

    @property
    def brand(self) -> str:
        """The brand whose menu is changed."""
        return self._brand

    @property
    def edits(self) -> int:
        """How many edits all clients have made."""
        return self._owner.edits + self._keeper.edits + self._ops.edits

    async def round(self, http: httpx.AsyncClient, n: int) -> None:
        """Change a document in each channel, except the notice, which every store sees."""
        store, name = self._store, f"n{n}"
        await self._owner.set(http, f"public:{store}", "waiting-time", {"value": n % 600})
        await self._owner.set(http, f"team:{store}", "shift", {"people": {"a": {"name": name}}})
        line = {"name": "김밥", "quantity": 1 + n % 900, "unit_price": 3500}
        for table in self._tables:
            await self._owner.set(http, f"party:{store}/{table}", "cart", {"lines": {"a": line}})
        menu = {"currency": "KRW", "items": {"a": {"name": name, "price": n}}}
        await self._keeper.set(http, f"brand:{self._brand}", "menu", menu)

    async def notice(self, http: httpx.AsyncClient, n: int) -> None:
        """Change the notice to all stores."""
        await self._ops.set(http, "global", "notice", {"text": f"n{n}", "level": "info"})


@asynccontextmanager
async def changing(
    core_url: str, keys: Keys, store: str, tables: Sequence[str]
) -> AsyncIterator[Editors]:
    """Change documents of the store, its tables and its brand for the time of a block."""
    editors = Editors(core_url, keys, store, tables)

    async def edit() -> None:
        async with httpx.AsyncClient(timeout=30) as http:
            n = 0
            while True:
                n += 1
                await editors.round(http, n)

    editing = asyncio.create_task(edit())
    try:
        yield editors
    finally:
        if editing.done():
            editing.result()
        editing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await editing
