"""People of one restaurant, each with a client whose network can be switched off.

Some have the Python client, some the browser's: both must end with the same state.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

from playwright.async_api import BrowserContext, Page

from client_sdk import Item, Settings, SqliteState, StateError, YabamClient
from tests.chaos.network import OwnNetwork

STORE: Final = "1"
PARTY: Final = "party:1/5"
_TEA: Final = {"name": "Tea", "quantity": 1, "unit_price": 2000}
_IMPATIENT: Final = Settings(backoff_first=0.05, backoff_most=1.0, connect_timeout=3.0)

Level = list[Any]
"""The cart, and for each open order its reference, status and version."""


class Person(ABC):
    """One client, of a guest or of the owner."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_cut = False

    @abstractmethod
    async def add(self, line: str) -> None:
        """Put a line into the table's cart."""

    @abstractmethod
    async def place(self, reference: str) -> None:
        """Place an order."""

    @abstractmethod
    async def accept(self) -> None:
        """Accept the first order with the status `placed`, if one is shown."""

    @abstractmethod
    async def cut(self, *, gone: bool) -> None:
        """Switch the network off (`gone`) or on."""

    @abstractmethod
    async def waiting(self) -> int:
        """How many edits and commands Core has not answered."""

    @abstractmethod
    async def level(self) -> Level:
        """The cart and the orders that are shown."""


class Scripted(Person):
    """A person with the Python client."""

    def __init__(self, name: str, client: YabamClient, network: OwnNetwork) -> None:
        super().__init__(name)
        self._client = client
        self._network = network

    @classmethod
    def of(cls, name: str, core_url: str, token: str, channel: str, folder: Path) -> Scripted:
        """A person whose client stores its queue in the folder."""
        network = OwnNetwork()
        client = YabamClient(
            core_url,
            token,
            [channel, PARTY],
            state=SqliteState(folder / name),
            settings=_IMPATIENT,
            transport=network.transport(),
        )
        return cls(name, client, network)

    async def live(self) -> None:
        """Read all changes until cancelled."""
        async with self._client:
            async for _ in self._client.events():
                pass

    async def add(self, line: str) -> None:
        """Put a line into the cart."""
        await self._client.state(PARTY)["cart"].merge({"lines": {line: _TEA}})

    async def place(self, reference: str) -> None:
        """Place an order."""
        await self._client.commands.place(
            STORE, [Item("Tea", 1, 2000)], currency="KRW", table_id="5", reference=reference
        )

    async def accept(self) -> None:
        """Accept the first order with the status `placed`."""
        for shown in self._client.commands.orders:
            if shown.order.status == "placed":
                await self._client.commands.transition(shown, "accepted")
                return

    async def cut(self, *, gone: bool) -> None:
        """Switch the network off (`gone`) or on."""
        self.is_cut = gone
        if gone:
            self._network.take_away()
        else:
            self._network.give_back()

    async def waiting(self) -> int:
        """How many edits and commands Core has not answered."""
        return self._client.state.waiting + self._client.commands.waiting

    async def level(self) -> Level:
        """The cart and the orders that are shown."""
        orders = [one.order for one in self._client.commands.orders]
        shown = sorted([one.reference or "", one.status, one.version] for one in orders)
        return [self._client.state(PARTY)["cart"].value, shown]


class Browsing(Person):
    """A person with a page in a browser."""

    def __init__(self, name: str, context: BrowserContext, page: Page) -> None:
        super().__init__(name)
        self._context = context
        self._page = page

    @classmethod
    async def of(
        cls, name: str, context: BrowserContext, core_url: str, token: str, channel: str
    ) -> Browsing:
        """A person whose page has Core's origin."""
        blank = f"{core_url}/blank"
        await context.route(
            blank, lambda route: route.fulfill(content_type="text/html", body="<!doctype html>")
        )
        page = await context.new_page()
        await page.goto(blank)
        await page.evaluate(
            """async ([token, channels]) => {
                const { YabamClient } = await import("/static/yabam/yabam_client.js");
                const settings = { backoffFirst: 0.05, backoffMost: 1 };
                const core = location.origin;
                window.client = new YabamClient({ core, token, channels, settings });
                window.cart = client.state(channels[1]).get("cart");
                client.start();
                window.addEventListener("online", () => client.wake());
            }""",
            [token, [channel, PARTY]],
        )
        return cls(name, context, page)

    async def add(self, line: str) -> None:
        """Put a line into the cart."""
        await self._page.evaluate(
            "([line, tea]) => cart.merge({ lines: { [line]: tea } }).then(() => null)",
            [line, _TEA],
        )

    async def place(self, reference: str) -> None:
        """Place an order."""
        await self._page.evaluate(
            """([store_id, reference, tea]) => client.commands.place({
                store_id, reference, table_id: "5", currency: "KRW", items: [tea],
            }).then(() => null)""",
            [STORE, reference, _TEA],
        )

    async def accept(self) -> None:
        """Accept the first order with the status `placed`."""
        await self._page.evaluate(
            """async () => {
                const shown = client.commands.orders.find(({ order }) => order.status === "placed");
                if (shown) await client.commands.transition(shown, "accepted");
            }"""
        )

    async def cut(self, *, gone: bool) -> None:
        """Switch the network off (`gone`) or on."""
        self.is_cut = gone
        await self._context.set_offline(gone)

    async def waiting(self) -> int:
        """How many edits and commands Core has not answered."""
        found: int = await self._page.evaluate(
            "client.state.waiting + client.commands.waiting + (client.state.clientId ? 0 : 1)"
        )
        return found

    async def level(self) -> Level:
        """The cart and the orders that are shown."""
        cart, orders = await self._page.evaluate(
            """[cart.value, client.commands.orders.map(({ order }) =>
                [order.reference ?? "", order.status, order.version])]"""
        )
        return [cart, sorted(orders)]


async def do(person: Person, what: str, name: str) -> None:
    """Let a person do something; it may be impossible with what they see now."""
    try:
        if what == "add":
            await person.add(name)
        elif what == "place":
            await person.place(name)
        else:
            await person.accept()
    except StateError:
        await asyncio.sleep(0)
