"""Places orders and handles them, so that `make run` has something to show."""

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
# Store 1 is for the user, who has its terminal open: it gets fewer orders, and they wait longer, so
# that the user can handle them.
_OPENED: Final = STORES[0]
_WEIGHTS: Final = (1, 4, 4)
_PATIENCE_S: Final = (60.0, 120.0)
_STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")


class Restaurant:
    """Guests who order at random, and a kitchen that handles their orders.

    Args:
        core_url: Core's address.
        token: the access token of an owner of all `STORES`.
    """

    def __init__(self, core_url: str, token: str) -> None:
        self._producer = OrderProducer(core_url, token)
        self._chance = random.Random()

    async def run(self) -> None:
        """Place and handle orders until cancelled."""
        async with self._producer, asyncio.TaskGroup() as kitchen:
            while True:
                kitchen.create_task(self._live())
                await asyncio.sleep(self._chance.uniform(*_BETWEEN_ORDERS_S))

    async def _live(self) -> None:
        chance = self._chance
        # The user may change the same order, or Core may be down for a while: give this order up.
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
    """Print the events of all stores, as the SDK receives them, until cancelled."""
    channels = [f"store:{store}" for store in STORES]
    async with OrderClient(core_url, token, channels) as client:
        async for change in client.events():
            if isinstance(change, OrderEvent):
                print(printable(line_of(change, datetime.now().astimezone())), flush=True)
