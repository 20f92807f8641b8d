"""The whole system for the tests of the pages, and what people do with it through the API."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller, Role
from core_api.access.tokens import TokenKeys
from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Stack, free_ports, load_keys
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.parts import FETCH_WAIT, migrated_database

# These settings, which every installation has, let a test of a fault and its end take seconds.
_BRISK: Final = FETCH_WAIT | {"YABAM_POLL_AFTER_MS": "500"}
_TOKEN_LIFETIME_S: Final = 3600
SOON_MS: Final = 20_000
"""How long a page may take for any action, on a machine that is busy with other tests."""
BACK_MS: Final = 45_000
"""How long until a page is live again after its servers were down: its back-off is up to 30 s."""
SIZES: Final = {"1024x768": (1024, 768), "phone": (390, 844)}
SHOTS: Final = Path("build/screenshots")
_OF_ITS_OWN: Final = (
    # A server is down or refuses; the page handles it.
    "Failed to load resource",
    # Over plain HTTP, where browsers do not support this policy.
    "The Cross-Origin-Opener-Policy header has been ignored",
    # Each device of a test is such a window. Pages say that this browser gets no notifications.
    "Chrome currently does not support the Push API in incognito mode",
)
"""How the messages begin that the browser itself logs."""
_AT_ONCE: Final = 8
_stores = count(1)
PAGES_GROUP: Final = pytest.mark.xdist_group("browser-pages")
PAGES: Final = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.slow, PAGES_GROUP]
"""Marks the modules that share one installation and one Chromium."""
PLAIN_NAME: Final = "yabam.test"
"""A name of this machine that the browser does not treat as local."""
CHROMIUM_OPTIONS: Final = (f"--host-resolver-rules=MAP {PLAIN_NAME} 127.0.0.1",)


class Site:
    """A separate installation, started as processes."""

    def __init__(self, database: str, kafka: str, folder: Path) -> None:
        self.keys = load_keys(folder / "keys.json")
        name = uuid.uuid4().hex[:12]
        topics = {
            "YABAM_EVENTS_TOPIC": f"order-events-{name}",
            "YABAM_INBOUND_TOPIC": f"orders.inbound-{name}",
            "YABAM_DEVICES_INBOUND_TOPIC": f"devices.inbound-{name}",
            "YABAM_RECEIPTS_TOPIC": f"device-receipts-{name}",
            "YABAM_MESSAGES_TOPIC": f"channel-messages-{name}",
            "YABAM_INBOUND_DLQ_TOPIC": f"orders.inbound.dlq-{name}",
        }
        addresses = Addresses(database, kafka, ports=free_ports())
        self.stack = Stack(addresses, self.keys, folder, topics | _BRISK, starter=FORKED)

    def token(
        self,
        role: Role,
        *stores: str,
        table: Channel | None = None,
        lifetime_s: int = _TOKEN_LIFETIME_S,
        age_s: int = 0,
    ) -> str:
        """A token of the role for these stores or this table, issued `age_s` ago."""
        ring = {"local": self.keys.token.encode()}
        keys = TokenKeys(ring, "local", lambda: time.time() - age_s)
        return keys.sign(Caller(f"{role}-1", role, frozenset(stores), table), lifetime_s)

    async def mend(self) -> None:
        """Restart the processes that a test killed, and wait until all are ready."""
        for process in self.stack.processes:
            if process.exit_status is not None:
                process.start()
        await until_ready(*self.stack.processes)

    async def streams_are(self, count: int) -> None:
        """Wait until the event server has this many open streams."""
        ops = {"authorization": f"Bearer {self.token('ops')}"}
        async with httpx.AsyncClient(headers=ops) as client, asyncio.timeout(SOON_MS / 1000):
            wanted = f"\nyabam_events_streams_open_count {count}.0\n"
            url = f"{self.stack.events_url}/metrics"
            while wanted not in (await client.get(url)).text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@contextmanager
def running_site() -> Iterator[Site]:
    """Run an installation with everything that it needs until the block ends."""
    with data_folder("yabam-parts-") as folder:
        postgres = DrilledPostgres(folder / "postgres", durable=False)
        broker = EmbeddedBroker(folder)
        try:
            postgres.start()
            broker.start()
            site = Site(asyncio.run(migrated_database(postgres)), broker.bootstrap, folder / "site")
            try:
                site.stack.start()
                yield site
            finally:
                site.stack.kill()
        finally:
            broker.kill()
            postgres.stop_at_once()


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

    def table_url(self, table_id: str, age_s: int = 0) -> str:
        """A table's page, with its token, issued `age_s` ago, in the fragment."""
        table = Channel("table", self.id, table_id)
        token = self.site.token("table", table=table, age_s=age_s)
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

    async def try_to_place(self, dish: str) -> httpx.Response:
        """Core's answer to an order of one such dish."""
        items = [{"name": dish, "quantity": 1, "unit_price": 1000}]
        body = {"store_id": self.id, "table_id": "5", "currency": "KRW", "items": items}
        return await self._client.post("/v1/orders", json=body)

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

    async def get(self, path: str) -> dict[str, Any]:
        """Core's answer to the owner."""
        answer = await self._client.get(path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def document(self, channel: str, key: str) -> dict[str, Any]:
        """The document as Core has it; version 0: it does not exist."""
        where = {"channel": channel, "key": key}
        answer = await self._client.get("/v1/documents", params=where)
        if answer.status_code == 404:
            return {"version": 0, "value": None}
        answer.raise_for_status()
        return dict(answer.json())

    async def write(self, channel: str, key: str, do: dict[str, Any]) -> None:
        """Change a document, based on its current version."""
        base = (await self.document(channel, key))["version"]
        edit = {"n": 1, "channel": channel, "key": key, "base": base, "do": do}
        body = {"client": uuid.uuid4().hex, "edits": [edit]}
        answer = await self._client.post("/v1/edits", json=body)
        answer.raise_for_status()
        (outcome,) = answer.json()["outcomes"]
        assert outcome["outcome"] in ("applied", "settled"), outcome

    async def says(self, key: str, value: dict[str, Any]) -> None:
        """Set a public document of the store, which all its tables see."""
        await self.write(f"public:{self.id}", key, {"set": value})

    async def read(self, order_id: str) -> dict[str, Any]:
        """The order as Core has it."""
        answer = await self._client.get(f"/v1/orders/{order_id}")
        answer.raise_for_status()
        return dict(answer.json())

    async def events(self, order_id: str) -> list[str]:
        """The types of the order's events, oldest first."""
        answer = await self._client.get(f"/v1/orders/{order_id}/events")
        answer.raise_for_status()
        return [event["type"] for event in answer.json()["events"]]

    async def open_orders(self) -> list[dict[str, Any]]:
        """All open orders of the store, as Core has them."""
        answer = await self._client.get("/v1/sync", params={"channel": f"store:{self.id}"})
        answer.raise_for_status()
        (channel,) = answer.json()["channels"]
        return list(channel["snapshot"]["orders"])


async def several_at_once(work: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> None:
    """Do the work for each of these numbers, a few at a time."""
    left = iter(numbers)

    async def one_after_the_other() -> None:
        for number in left:
            await work(number)

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))


@asynccontextmanager
async def device(
    browser: Browser,
    size: tuple[int, int] = SIZES["1024x768"],
    locale: str = "en-US",
    *,
    touch: bool = False,
    workers: Literal["allow", "block"] = "block",
) -> AsyncIterator[BrowserContext]:
    """A separate device. The test fails if a page raises an error or breaks its policy.

    Args:
        browser: the browser to open it in.
        size: the size of its screen in pixels.
        locale: its language.
        touch: whether it has a touch screen.
        workers: whether pages may have service workers, which cost time and answer requests.
    """
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        has_touch=touch,
        service_workers=workers,
    )
    errors: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", heard)

    def heard(line: ConsoleMessage) -> None:
        if line.type == "error" and not line.text.startswith(_OF_ITS_OWN):
            errors.append(line.text)

    context.on("page", watch)
    try:
        yield context
        for page in context.pages:
            # A route that still waits for an answer to change it would fail without its page.
            await page.unroute_all(behavior="wait")
    finally:
        await context.close()
    assert not errors, errors


async def opened(context: BrowserContext, url: str, lamp: str = "live") -> Page:
    """Open a page and wait until its lamp shows this mode."""
    page = await context.new_page()
    await page.goto(url)
    await lit(page, lamp)
    return page


async def has_kept(page: Page, store: Store, seq: int) -> None:
    """Wait until the browser has saved the page's state up to this event of the store."""
    await page.wait_for_function(
        """([channel, seq]) => Object.values(localStorage).some((text) => {
            try {
                return JSON.parse(text).positions[channel] >= seq;
            } catch {
                return false;
            }
        })""",
        arg=[f"store:{store.id}", seq],
    )


async def lit(page: Page, mode: str) -> None:
    """Wait until the page's lamp shows this mode."""
    within = BACK_MS if mode == "live" else SOON_MS
    await expect(page.locator("#lamp")).to_have_attribute("data-mode", mode, timeout=within)


def card(page: Page, order: dict[str, Any]) -> Locator:
    """The card of an order on a terminal, found by the whole id, since short ids can be equal."""
    return page.locator(f".card[data-press='{order['id']}']")


async def still(page: Page) -> None:
    """Wait until the board accepts presses."""
    await page.locator("#board:not([data-held])").wait_for(state="attached")


async def press(page: Page, order: dict[str, Any], to: str) -> None:
    """Press the button for this step on the order's card, once the board accepts presses."""
    await still(page)
    await card(page, order).locator(f'[data-to="{to}"]').click()


async def shot(page: Page, name: str) -> None:
    """Save a screenshot."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png")


async def until_ready(*processes: Any, timeout_s: float = 60) -> None:
    """Wait until the processes report that they are ready."""
    for process in processes:
        await asyncio.to_thread(process.wait_ready, timeout_s)
