"""All clients that edit documents and change orders, and the check of what they did."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from client_sdk.contract.errors import YabamError
from tests.chaos.edit_proof import judge_edits, read_history, stored_documents
from tests.chaos.editor import STEPS, Editor, Role
from tests.chaos.proof import Ledger, Verdict, judge_writes

_LOOK_EVERY_S: Final = 0.2
_ANSWERED_WITHIN_S: Final = 90.0
_TILLS: Final = "tills"
"""The store whose orders only editors place and change."""


class Editors:
    """All clients that edit.

    Args:
        editors: the clients.
        chance: chooses the editor of each edit, and the pauses.
        edits_per_s: the rate of all together.
    """

    def __init__(
        self, editors: Sequence[Editor], chance: random.Random, edits_per_s: float
    ) -> None:
        self.all = list(editors)
        self.acknowledged = 0
        """How many edits were answered in this scenario."""
        self._chance = chance
        self._between_s = 1 / edits_per_s
        self._running = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble: list[str] = []

    async def open(self) -> None:
        """Open all clients."""
        await asyncio.gather(*(editor.open() for editor in self.all))

    async def stop(self) -> None:
        """Close all clients."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(editor.close() for editor in self.all), return_exceptions=True)

    def start(self) -> None:
        """Make edits until paused."""
        self.acknowledged = 0
        self._running.set()
        if self._task is None:
            self._task = asyncio.create_task(self._edit_on())

    def pause(self) -> None:
        """Make no more edits."""
        self._running.clear()

    async def answered(self) -> None:
        """Wait until all edits and commands that wait now are answered, or time is over."""
        waiting = [task for editor in self.all for task in editor.unanswered]
        if waiting:
            await asyncio.wait(waiting, timeout=_ANSWERED_WITHIN_S)

    def forget(self) -> None:
        """Forget what was acknowledged so far, as it is not in a backup or a standby."""
        for editor in self.all:
            editor.told = {k: one for k, one in editor.told.items() if one.outcome is None}
            editor.orders.clear()

    async def level(self, ledger: Ledger, *, within_s: float) -> str | None:
        """Wait until all show what the database has. Returns a difference that remains."""
        deadline = time.monotonic() + within_s
        while True:
            stored, orders = await stored_documents(ledger), await ledger.open_orders()
            found = (editor.difference(stored, orders) for editor in self.all)
            different = next((one for one in found if one is not None), None)
            if different is None or time.monotonic() > deadline:
                return different
            await asyncio.sleep(_LOOK_EVERY_S)

    async def judge(self, ledger: Ledger, *, within_s: float, forgiving: bool) -> Verdict:
        """Compare all edits with the history, and then forget them."""
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
            verdict.add(await self._judge_orders(editor, ledger, forgiving=forgiving))
        return verdict

    async def _judge_orders(self, editor: Editor, ledger: Ledger, *, forgiving: bool) -> Verdict:
        stored = await ledger.by_reference(list(editor.orders))
        verdict = judge_writes(editor.orders, stored, f"orders of {editor.role.name}")
        self.acknowledged += editor.done
        notes = [f"{editor.role.name}: refused {one}" for one in editor.refused]
        verdict.add(Verdict(lost=len(notes), notes=notes))
        if forgiving and verdict.lost:
            verdict = Verdict(doubled=verdict.doubled, notes=verdict.notes)
        is_over = [name for name, version in editor.orders.items() if version == len(STEPS)]
        for name in list(editor.orders) if forgiving else is_over:
            del editor.orders[name]
        editor.refused.clear()
        editor.done = 0
        return verdict

    async def _edit_on(self) -> None:
        while True:
            await self._running.wait()
            editor = self._chance.choice(self.all)
            try:
                await editor.edit()
            except YabamError as error:
                # While a client is being restarted, it accepts no edits: only other errors count.
                if "closed" not in str(error):
                    self._trouble.append(f"{editor.role.name}: {error!r}")
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._between_s)


def roles(token_of: Callable[..., str], guest: Callable[[str, str], str]) -> list[Role]:
    """The roles of all editors: terminals, guests' phones, a brand and ops.

    Args:
        token_of: makes a token, from subject, role, stores and brand.
        guest: makes a guest's token, from store and table.
    """
    public, brand = "public:1", "brand:b1"
    parties = tuple(f"party:1/{table}" for table in (1, 2))
    made = [
        Role(
            name,
            token_of(name, "owner", "1", _TILLS, brand="b1"),
            (public, *parties, brand, "global", f"store:{_TILLS}"),
            ((public, "sold-out"), (public, "waiting-time"), *((p, "cart") for p in parties)),
            _TILLS,
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
