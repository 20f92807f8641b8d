"""The clients that edit documents, and the proof that each edit is in the history once.

What was acknowledged is held against Core's tables, which are read by SQL; each edit carries a mark
in its metadata, by which the history names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from client_sdk import EditHandle, Settings, SqliteState, YabamClient
from client_sdk.contract.digest import canonical
from client_sdk.contract.errors import YabamError
from client_sdk.contract.state.values import Value
from tests.chaos.network import OwnNetwork
from tests.chaos.proof import Ledger, Verdict

_LOOK_EVERY_S: Final = 0.2
_LINES: Final = 20
"""So many entries of its own an editor leaves in a document."""


@dataclass(frozen=True)
class Role:
    """Who an editor is, what it follows and what it edits."""

    name: str
    token: str
    channels: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    """The documents that it may write, each a channel and a key."""


@dataclass
class Told:
    """One edit as its maker was told of it."""

    mark: str
    order: int
    outcome: str | None = None
    """None: not answered yet."""


class Editor:
    """One client that edits; its queue is on the disk.

    Args:
        core_url: where Core is.
        role: who it is.
        folder: where its queue is kept.
        settings: of the client.
        chance: what it edits, and when.
    """

    def __init__(
        self, core_url: str, role: Role, folder: Path, settings: Settings, chance: random.Random
    ) -> None:
        self.role = role
        self.network = OwnNetwork()
        self.told: dict[str, Told] = {}
        self.client: YabamClient
        self._core_url, self._folder, self._settings = core_url, folder, settings
        self._chance = chance
        self._count = 0
        self._items: list[str] = []
        self._lines: dict[str, list[str]] = {}
        self._waiting: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Go on from what is kept."""
        self.client = YabamClient(
            self._core_url,
            self.role.token,
            self.role.channels,
            state=SqliteState(self._folder),
            settings=self._settings,
            transport=self.network.transport(),
            resolvers={"menu": lambda _key, _base, _current, own: own},
        )
        await self.client.__aenter__()

    async def close(self) -> None:
        """End, whatever waits."""
        await self.client.close()
        for task in tuple(self._waiting):
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def restart(self) -> None:
        """End and begin anew; what was not answered waits in the store."""
        await self.close()
        await self.open()

    async def edit(self) -> None:
        """Make one edit of any of its documents."""
        self._count += 1
        mark = f"{self.role.name}-{self._count}"
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
                # No two editors ever set the same, so that each edit changes something.
                minutes = (2 * self._count + (self.role.name == "terminal-1")) % 600
                handle = await document.set({"value": minutes}, metadata=metadata)
            case "menu":
                items = {mark: {"name": mark, "price": 1000}}
                handle = await document.set({"currency": "KRW", "items": items}, metadata=metadata)
            case _:
                handle = await document.set({"text": mark, "level": "info"}, metadata=metadata)
        told = self.told[mark] = Told(mark, self._count)
        task = asyncio.create_task(self._hear(handle, told))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def difference(self, stored: Mapping[tuple[str, str], bytes]) -> str | None:
        """What it shows otherwise than the database has it, or what still waits."""
        state = self.client.state
        if state.waiting:
            return f"{self.role.name}: {state.waiting} edits wait: {state.sending_error}"
        for channel in self.role.channels:
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
        """One more entry, and the oldest of ours taken out if there are many."""
        own.append(mark)
        return {mark: entry} | ({own.pop(0): None} if len(own) > _LINES else {})

    async def _hear(self, handle: EditHandle, told: Told) -> None:
        # If it is closed meanwhile, the edit waits in the store.
        with contextlib.suppress(YabamError):
            told.outcome = (await handle.settled()).outcome


class Editors:
    """All clients that edit, watched.

    Args:
        editors: they.
        chance: how they are paced.
        edits_per_s: of all together.
    """

    def __init__(
        self, editors: Sequence[Editor], chance: random.Random, edits_per_s: float
    ) -> None:
        self.all = list(editors)
        self.acknowledged = 0
        """How many edits were answered on this page."""
        self._chance = chance
        self._between_s = 1 / edits_per_s
        self._running = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble: list[str] = []

    async def open(self) -> None:
        """Open all clients."""
        await asyncio.gather(*(editor.open() for editor in self.all))

    async def stop(self) -> None:
        """End all."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(editor.close() for editor in self.all), return_exceptions=True)

    def start(self) -> None:
        """Edit until paused."""
        self.acknowledged = 0
        self._running.set()
        if self._task is None:
            self._task = asyncio.create_task(self._edit_on())

    def pause(self) -> None:
        """Make no more edits."""
        self._running.clear()

    def forget(self) -> None:
        """Ask for none of what was acknowledged so far: a backup does not hold it."""
        for editor in self.all:
            editor.told = {k: one for k, one in editor.told.items() if one.outcome is None}

    async def level(self, ledger: Ledger, *, within_s: float) -> str | None:
        """Wait until all show what the database has; what is still different."""
        deadline = time.monotonic() + within_s
        while True:
            stored = await stored_documents(ledger)
            found = (editor.difference(stored) for editor in self.all)
            different = next((one for one in found if one is not None), None)
            if different is None or time.monotonic() > deadline:
                return different
            await asyncio.sleep(_LOOK_EVERY_S)

    async def judge(self, ledger: Ledger, *, within_s: float, forgiving: bool) -> Verdict:
        """Each acknowledged edit against the history; then they are forgotten."""
        verdict = Verdict()
        different = await self.level(ledger, within_s=within_s)
        for note in (different, *self._trouble):
            if note is not None:
                verdict.add(Verdict(lost=1, notes=[note]))
        self._trouble.clear()
        history = await read_history(ledger)
        for editor in self.all:
            told = list(editor.told.values())
            self.acknowledged += sum(one.outcome is not None for one in told)
            verdict.add(judge_edits(editor.role.name, told, history, forgiving=forgiving))
            editor.told.clear()
        return verdict

    async def _edit_on(self) -> None:
        while True:
            await self._running.wait()
            editor = self._chance.choice(self.all)
            try:
                await editor.edit()
            except YabamError as error:
                # While it is opened anew it takes no edit; anything else is told.
                if "closed" not in str(error):
                    self._trouble.append(f"{editor.role.name}: {error!r}")
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._between_s)


@dataclass(frozen=True)
class Entry:
    """One entry of the history of all documents."""

    mark: str
    document: tuple[str, str]
    version: int
    took_effect: bool


def judge_edits(
    name: str, told: Sequence[Told], history: Sequence[Entry], *, forgiving: bool = False
) -> Verdict:
    """One editor's edits against the history: each once, and each document's in their order.

    No edit here is one that Core refuses: whatever was accepted must be there.

    Args:
        name: the editor's.
        told: its edits, with what was said of each.
        history: of all documents, by version.
        forgiving: what was acknowledged may be gone, as after a restore.
    """
    by_mark: dict[str, list[Entry]] = {}
    for entry in history:
        by_mark.setdefault(entry.mark, []).append(entry)
    verdict = Verdict()
    newest: dict[tuple[str, str], int] = {}
    for one in sorted(told, key=lambda edit: edit.order):
        found = by_mark.get(one.mark, [])
        wrong = _wrong(one, found)
        is_lost = wrong == "lost" and not forgiving
        verdict.lost += is_lost
        verdict.doubled += wrong == "doubled"
        if is_lost or wrong == "doubled":
            verdict.notes.append(f"{name}: the edit {one.mark} ({one.outcome}) is {wrong}")
        for entry in found:
            if entry.took_effect:
                before = newest.get(entry.document, 0)
                verdict.out_of_order += entry.version < before
                newest[entry.document] = max(before, entry.version)
    return verdict


def _wrong(told: Told, found: Sequence[Entry]) -> str | None:
    if len(found) > 1:
        return "doubled"
    if not found:
        return "lost"
    # One that was answered after its maker was opened anew was told to nobody.
    is_taken = told.outcome in ("applied", "settled")
    return "lost" if is_taken and not found[0].took_effect else None


async def stored_documents(ledger: Ledger) -> dict[tuple[str, str], bytes]:
    """The value of each document in the form of RFC 8785."""
    rows = await ledger.fetch("SELECT channel, key, value FROM documents WHERE value IS NOT NULL")
    return {
        (str(channel), str(key)): canonical(msgspec.json.decode(str(value)))
        for channel, key, value in rows
    }


async def read_history(ledger: Ledger) -> list[Entry]:
    """All entries that carry a mark, by version."""
    rows = await ledger.fetch(
        "SELECT entry, channel, key, version, took_effect FROM document_history"
        " ORDER BY channel, key, version"
    )
    entries = []
    for entry, channel, key, version, took_effect in rows:
        metadata: dict[str, Any] = msgspec.json.decode(str(entry)).get("metadata") or {}
        if "mark" in metadata:
            place = str(channel), str(key)
            entries.append(Entry(metadata["mark"], place, int(str(version)), took_effect is True))
    return entries


def roles(token_of: Callable[..., str], guest: Callable[[str, str], str]) -> list[Role]:
    """Two terminals, three tables' phones, the brand and ops.

    Args:
        token_of: makes a token by subject, role, stores and brand.
        guest: makes a token of a table.
    """
    public, brand = "public:1", "brand:b1"
    parties = tuple(f"party:1/{table}" for table in (1, 2))
    made = [
        Role(
            name,
            token_of(name, "owner", "1", brand="b1"),
            (public, *parties, brand, "global"),
            ((public, "sold-out"), (public, "waiting-time"), *((p, "cart") for p in parties)),
        )
        for name in ("terminal-1", "terminal-2")
    ]
    made += [
        Role(f"phone-{n}", guest("1", table), (public, f"party:1/{table}", "global"),
             ((f"party:1/{table}", "cart"),))
        for n, table in enumerate(("1", "1", "2", "2"), 1)
    ]  # fmt: skip
    made.append(Role("brand", token_of("brand", "brand", brand="b1"), (brand,), ((brand, "menu"),)))
    made.append(Role("ops", token_of("ops", "ops"), ("global",), (("global", "notice"),)))
    return made
