"""Places orders, presses the bell, commands lamps, and asks again for tickets that wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from client_sdk import Item, OrderProducer
from client_sdk.contract.errors import YabamError
from tests.chaos.kitchen.names import EVENT, LAMPS, PRINTER, STORE
from tests.chaos.kitchen.records import Records
from tests.mqtt_parts import KeepingDevice

_ITEMS: Final = (Item("Bibimbap", 1, 9_500), Item("Tea", 2, 2_000))
_STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")
_ORDER_EVERY_S: Final = 0.8
_STEP_EVERY_S: Final = 0.5
_PRESS_EVERY_S: Final = 0.5
_COMMAND_EVERY_S: Final = 2.0
_AGAIN_S: Final = 0.5
_EXPIRES_S: Final = 3600


class Staff:
    """The persons who work in the kitchen.

    Args:
        core_url: Core's address.
        token: the access token of the store's owner.
        bell: the bell that is pressed.
        records: reads which tickets wait for a person.
    """

    def __init__(self, core_url: str, token: str, bell: KeepingDevice, records: Records) -> None:
        self.ordered: list[str] = []
        """The references of the orders that Core accepted, in the order of the log."""
        self.commanded: list[str] = []
        """The commands that Core accepted."""
        self._bell, self._records = bell, records
        self._producer = OrderProducer(core_url, token, attempts=60)
        self._http = httpx.AsyncClient(
            base_url=core_url, headers={"authorization": f"Bearer {token}"}, timeout=20
        )
        self._working = asyncio.Event()
        self._busy = 0
        self._lives: set[asyncio.Task[None]] = set()
        self._numbers = 0

    @property
    def is_at_rest(self) -> bool:
        """Whether they are paused, and nothing is under way any more."""
        return not self._working.is_set() and not self._busy and not self._lives

    def start(self) -> None:
        """Work until paused; forget earlier orders and commands."""
        self.ordered, self.commanded = [], []
        self._working.set()

    def pause(self) -> None:
        """Begin nothing more."""
        self._working.clear()

    async def run(self) -> None:
        """Run all tasks until cancelled; they work only between `start` and `pause`."""
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._order, self._press, self._command, self._look_after_printer):
                    group.create_task(work())
        finally:
            for life in tuple(self._lives):
                life.cancel()
            await asyncio.gather(*self._lives, return_exceptions=True)
            await self._producer.__aexit__(None, None, None)
            await self._http.aclose()

    async def _order(self) -> None:
        while True:
            async with self._at_work():
                self._numbers += 1
                reference = f"K-{self._numbers:05}"
                order = await self._producer.place(
                    STORE, _ITEMS, currency="KRW", table_id="1", reference=reference
                )
                self.ordered.append(reference)
                life = asyncio.create_task(self._live(order.id))
                self._lives.add(life)
                life.add_done_callback(self._lives.discard)
            await asyncio.sleep(_ORDER_EVERY_S)

    async def _live(self, order_id: str) -> None:
        with contextlib.suppress(YabamError):
            for step in _STEPS:
                await asyncio.sleep(_STEP_EVERY_S)
                await self._producer.transition(order_id, step)

    async def _press(self) -> None:
        while True:
            async with self._at_work():
                self._bell.say("event", name=EVENT)
            await asyncio.sleep(_PRESS_EVERY_S)

    async def _command(self) -> None:
        """Send a command to one lamp after the other, each again until Core has accepted it.

        All attempts have the same id, so they are one command.
        """
        number = 0
        while True:
            async with self._at_work():
                number += 1
                name = f"c{number}"
                url = f"/v1/stores/{STORE}/devices/{LAMPS[number % len(LAMPS)]}/commands"
                body = {"name": "blink", "id": name, "expires_in_s": _EXPIRES_S}
                while not await self._took(url, body):  # noqa: ASYNC110 - until Core answers
                    await asyncio.sleep(_AGAIN_S)
                self.commanded.append(name)
            await asyncio.sleep(_COMMAND_EVERY_S)

    async def _took(self, url: str, body: dict[str, object]) -> bool:
        try:
            return (await self._http.post(url, json=body)).status_code in (200, 201)
        except httpx.HTTPError:
            return False

    async def _look_after_printer(self) -> None:
        """Ask again for tickets that wait for a person, as their printing was in doubt."""
        url = f"/v1/stores/{STORE}/devices/{PRINTER}/prints"
        while True:
            await asyncio.sleep(2 * _AGAIN_S)
            with contextlib.suppress(httpx.HTTPError, OSError, TimeoutError):
                for name, job in (await self._records.jobs()).items():
                    if job.get("waits"):
                        body = {"step": "again", "agent": "ann"}
                        await self._http.post(f"{url}/{name}", json=body)

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[None]:
        await self._working.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
