"""A small restaurant that keeps ordering, so that there is something to look at."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import datetime
from typing import Final

from client_sdk import Guest, Item, OrderClient, OrderEvent, OrderProducer
from client_sdk.command_line.output import printable
from client_sdk.commands.texts import line_of
from client_sdk.errors import RefusedError, UnreachableError

STORES: Final = ("1", "2", "3")
_TABLES: Final = 8
_MENU: Final = (
    Item("김치찌개 Kimchi stew", 1, 9_000),
    Item("비빔밥 Bibimbap", 1, 9_500),
    Item("불고기 Bulgogi", 1, 15_000),
    Item("잡채 Japchae", 1, 12_000),
    Item("파전 Scallion pancake", 1, 11_000),
    Item("공기밥 Rice", 2, 1_000),
    Item("식혜 Sikhye", 1, 4_000),
)
_NOTES: Final = ("", "", "", "덜 맵게 해 주세요", "no onions, please", "창가 자리입니다")
_GUESTS: Final = ("Kim Minji", "Lee Junho", "Park Sora", "Choi Daniel")
_BETWEEN_ORDERS_S: Final = (1.0, 3.0)
_BETWEEN_STEPS_S: Final = (2.0, 6.0)
# Store 1 is whoever has opened its terminal: fewer orders, and time enough to handle them oneself.
_OPENED: Final = STORES[0]
_WEIGHTS: Final = (1, 4, 4)
_PATIENCE_S: Final = (60.0, 120.0)
_STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")


class Restaurant:
    """Guests who order at random, and a kitchen that keeps up.

    Args:
        core_url: where Core is.
        token: of an owner of all `STORES`.
    """

    def __init__(self, core_url: str, token: str) -> None:
        self._producer = OrderProducer(core_url, token)
        self._chance = random.Random()

    async def run(self) -> None:
        """Order until cancelled."""
        async with self._producer, asyncio.TaskGroup() as kitchen:
            while True:
                kitchen.create_task(self._live())
                await asyncio.sleep(self._chance.uniform(*_BETWEEN_ORDERS_S))

    async def _live(self) -> None:
        chance = self._chance
        # Somebody else may step the same order, or Core may be away for a while: never mind.
        with contextlib.suppress(RefusedError, UnreachableError):
            (store,) = chance.choices(STORES, _WEIGHTS)
            order = await self._producer.place(
                store,
                chance.sample(_MENU, chance.randint(1, 4)),
                currency="KRW",
                table_id=str(chance.randint(1, _TABLES)),
                note=chance.choice(_NOTES),
                guest=Guest(name=chance.choice(_GUESTS)),
            )
            for step in _STEPS:
                pause = _PATIENCE_S if store == _OPENED else _BETWEEN_STEPS_S
                await asyncio.sleep(chance.uniform(*pause))
                await self._producer.transition(order.id, step)


async def show_orders(core_url: str, token: str) -> None:
    """Print what happens in all stores, as the SDK receives it, until cancelled."""
    channels = [f"store:{store}" for store in STORES]
    async with OrderClient(core_url, token, channels) as client:
        async for change in client.events():
            if isinstance(change, OrderEvent):
                print(printable(line_of(change, datetime.now().astimezone())), flush=True)
