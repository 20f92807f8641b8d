"""A client that edits documents and changes orders; each edit and each order has a mark."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client_sdk import CommandHandle, EditHandle, Item, Settings, SqliteState, YabamClient
from client_sdk.contract.channel import carries_documents
from client_sdk.contract.digest import canonical
from client_sdk.contract.errors import YabamError
from client_sdk.contract.state.values import Value
from tests.chaos.edit_proof import Told
from tests.chaos.network import OwnNetwork
from tests.chaos.proof import Standing

STEPS: Final = ("placed", "accepted", "preparing", "ready", "served", "paid")
"""The statuses of an editor's order, one for each version."""
_LINES: Final = 20
"""The most entries of its own that an editor leaves in a document."""
_ORDERS: Final = 6
"""The most orders of its own that an editor leaves open."""


@dataclass(frozen=True)
class Role:
    """An editor's identity, the channels that it follows, and the documents that it edits."""

    name: str
    token: str
    channels: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    """The documents that it may write: channel and key of each."""
    orders: str | None = None
    """The store in which it also places and changes orders; None: it has no orders."""


class Editor:
    """One client that edits; its queue is on disk.

    Args:
        core_url: Core's address.
        role: its identity.
        folder: the folder of its queue.
        settings: the client's settings.
        chance: chooses what it edits, and when.
    """

    def __init__(
        self, core_url: str, role: Role, folder: Path, settings: Settings, chance: random.Random
    ) -> None:
        self.role = role
        self.network = OwnNetwork()
        self.told: dict[str, Told] = {}
        self.orders: dict[str, int] = {}
        """The newest version that each of its orders must have, by the order's reference."""
        self.refused: list[str] = []
        """Its commands that were refused, although only it changes these orders."""
        self.done = 0
        """How many of its commands were answered."""
        self.client: YabamClient
        self._core_url, self._folder, self._settings = core_url, folder, settings
        self._chance = chance
        self._count = 0
        self._items: list[str] = []
        self._lines: dict[str, list[str]] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the client with the stored queue."""
        client = YabamClient(
            self._core_url,
            self.role.token,
            self.role.channels,
            state=SqliteState(self._folder),
            settings=self._settings,
            transport=self.network.transport(),
            resolvers={"menu": lambda _key, _base, _current, own: own},
        )
        await client.__aenter__()
        # Not before it is open: until then, `edit` meets the closed one.
        self.client = client
        if self.role.orders is not None:
            self._spawn(self._follow(client), self._following)

    async def close(self) -> None:
        """Close the client, even if edits wait."""
        await self.client.close()
        tasks = *self._following, *self._waiting
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def restart(self) -> None:
        """Close the client and open it again; unanswered edits wait in the stored queue."""
        await self.close()
        await self.open()

    async def edit(self) -> None:
        """Make one edit of any of its documents, or a command to one of its orders."""
        self._count += 1
        mark = f"{self.role.name}-{self._count}"
        if self.role.orders is not None and self._chance.random() < 0.3:
            await self._command(self.role.orders, mark)
            return
        channel, key = self._chance.choice(self.role.edits)
        document = self.client.state(channel)[key]
        metadata = {"mark": mark}
        match key:
            case "cart":
                line = {"name": "Tea", "quantity": 1, "unit_price": 1000, "by": self.role.name}
                lines = self._entries(self._lines.setdefault(channel, []), mark, line)
                handle = await document.merge({"lines": lines}, metadata=metadata)
            case "sold-out":
                items = self._entries(self._items, mark, {"name": mark})
                handle = await document.merge({"items": items}, metadata=metadata)
            case "waiting-time":
                # No two editors ever set the same value, so that each edit changes the document.
                minutes = (2 * self._count + (self.role.name == "terminal-1")) % 600
                handle = await document.set({"value": minutes}, metadata=metadata)
            case "menu":
                items = {mark: {"name": mark, "price": 1000}}
                handle = await document.set({"currency": "KRW", "items": items}, metadata=metadata)
            case _:
                handle = await document.set({"text": mark, "level": "info"}, metadata=metadata)
        told = self.told[mark] = Told(mark, self._count)
        self._spawn(self._hear(handle, told), self._waiting)

    def difference(
        self,
        stored: Mapping[tuple[str, str], bytes],
        orders: Mapping[str, Mapping[str, Standing]],
    ) -> str | None:
        """How it differs from the database, or what still waits; None: neither."""
        state, commands = self.client.state, self.client.commands
        if state.waiting:
            return f"{self.role.name}: {state.waiting} edits wait: {state.sending_error}"
        if commands.waiting:
            return f"{self.role.name}: {commands.waiting} commands wait: {state.sending_error}"
        if self.role.orders is not None:
            shown = {
                one.order.id: Standing(one.order.version, one.order.status)
                for one in commands.orders
            }
            if shown != orders.get(f"store:{self.role.orders}", {}):
                return f"{self.role.name} shows other orders"
        for channel in filter(carries_documents, self.role.channels):
            keys = {key for of, key in stored if of == channel}
            for key in sorted(keys | set(state(channel).keys)):
                document = state(channel)[key]
                if document.pending:
                    return f"{self.role.name}: {document.pending} edits of {key} are pending"
                if canonical(document.value) != stored.get((channel, key), canonical(None)):
                    return f"{self.role.name} shows another {key} of {channel}"
        return None

    @staticmethod
    def _entries(own: list[str], mark: str, entry: Value) -> dict[str, Value | None]:
        """A merge that adds an entry, and removes the editor's oldest one if it has many."""
        own.append(mark)
        return {mark: entry} | ({own.pop(0): None} if len(own) > _LINES else {})

    async def _command(self, store: str, mark: str) -> None:
        """Place an order, or give one its next status. The command is stored when this returns."""
        own = [
            one
            for one in self.client.commands.orders
            if (one.order.reference or "").startswith(f"{self.role.name}-")
        ]
        ahead = [one for one in own if one.order.status != STEPS[-1]]
        if len(own) < _ORDERS and (not ahead or self._chance.random() < 0.4):
            items = [Item("Tea", 1, 1000)]
            handle = await self.client.commands.place(store, items, currency="KRW", reference=mark)
            self.orders[mark] = 1
        elif ahead:
            shown = self._chance.choice(ahead)
            to = STEPS[STEPS.index(shown.order.status) + 1]
            handle = await self.client.commands.transition(shown, to)
        else:
            return
        self._spawn(self._hear_command(handle, mark), self._waiting)

    async def _hear_command(self, handle: CommandHandle, mark: str) -> None:
        with contextlib.suppress(YabamError):
            done = await handle.settled()
            order = done.order
            if done.problem is not None:
                self.refused.append(f"{mark}: {done.problem.slug} {done.problem.detail}")
            elif order is not None and order.reference in self.orders:
                newest = max(order.version, self.orders[order.reference])
                self.orders[order.reference] = newest
                self.done += 1

    @property
    def unanswered(self) -> list[asyncio.Task[None]]:
        """A task for each waiting edit and command, which ends when it is answered."""
        return list(self._waiting)

    async def _follow(self, client: YabamClient) -> None:
        """Read the events: without that the client does not show the orders."""
        with contextlib.suppress(YabamError):
            async for _ in client.events():
                pass

    def _spawn(self, work: Coroutine[Any, Any, None], running: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)

    async def _hear(self, handle: EditHandle, told: Told) -> None:
        # If the client is closed meanwhile, the edit waits in the stored queue.
        with contextlib.suppress(YabamError):
            told.outcome = (await handle.settled()).outcome
