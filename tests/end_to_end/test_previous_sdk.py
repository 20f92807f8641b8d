"""The SDKs of commit 2fccc5f, before the layout in rooms, with today's servers."""

from __future__ import annotations

import asyncio
import os
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from playwright.async_api import Page, Route

from client_sdk import Item, OrderProducer
from client_sdk.contract.sync import MAX_ORDERS
from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from tests.browser.module_page import chromium
from tests.end_to_end import previous_sdk
from tests.end_to_end.conftest import Installation, create_database
from tests.end_to_end.editing import changing, guest, sign

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

FOLDER: Final = Path(previous_sdk.__file__).parent
ARCHIVE: Final = FOLDER / "sdk_2fccc5f.zip"
JAVASCRIPT: Final = "core_api/pages/static/yabam/"
ITEMS: Final = [Item("Bibimbap", 1, 9_500, "김치 많이")]
SOON_S: Final = 60.0


@pytest.fixture(scope="module")
def site(
    postgres: EmbeddedPostgres, kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Everything of today, running; each test has a store of its own."""
    extra = {"YABAM_POLL_AFTER_MS": "200"}
    database = create_database(postgres)
    folder = tmp_path_factory.mktemp("site")
    installation = Installation(database, kafka.bootstrap, folder, extra)
    try:
        installation.start()
        yield installation
    finally:
        installation.kill()


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    return f"of-{request.node.name[:50]}"


async def orders(site: Installation, store: str, count: int) -> None:
    """So many new orders, of which one is closed and all others go one step further."""
    async with OrderProducer(site.core_url, site.token("owner", store)) as producer:
        for n in range(count):
            order = await producer.place(store, ITEMS, currency="KRW", table_id=str(n))
            await producer.transition(order.id, "accepted" if n else "rejected")


async def synced(site: Installation, store: str) -> dict[str, Any]:
    """The store's channel, as Fetch Sync gives it to a client that has nothing."""
    async with httpx.AsyncClient(base_url=site.core_url) as http:
        headers = {"authorization": f"Bearer {site.token('owner', store)}"}
        parameters: dict[str, str | int] = {"channel": f"store:{store}", "orders": MAX_ORDERS}
        answer = await http.get("/v1/sync", params=parameters, headers=headers)
    (channel,) = answer.json()["channels"]
    assert isinstance(channel, dict)
    return channel


async def core_says(site: Installation, store: str) -> tuple[int, str]:
    """The head and the digest of the store's channel."""
    channel = await synced(site, store)
    return channel["head"], channel["digest"]


class Previous:
    """The Python SDK of then, in a process of its own; `said` is what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.said: list[dict[str, Any]] = []
        self._process = process
        self._news = asyncio.Event()

    async def read(self) -> None:
        """Read what it prints, to its end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.said.append(msgspec.json.decode(line))
            self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it has printed so much that this holds."""
        async with asyncio.timeout(SOON_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def is_at(self, head: int, digest: str) -> None:
        """Return once it has all events up to the head; it has the same orders then."""
        await self.until(lambda: any(head in (s.get("event"), s.get("head")) for s in self.said))
        (last,) = [s for s in self.said if head in (s.get("event"), s.get("head"))]
        assert last["digest"] == digest

    async def becomes(self, mode: str) -> None:
        """Return once its newest mode is this one."""
        await self.until(lambda: bool(self.modes) and self.modes[-1] == mode)

    @property
    def modes(self) -> list[str]:
        return [said["mode"] for said in self.said if "mode" in said]

    @property
    def events(self) -> list[int]:
        return [said["event"] for said in self.said if "event" in said]

    @property
    def resets(self) -> list[str]:
        return [said["reset"] for said in self.said if "reset" in said]


@asynccontextmanager
async def following(
    site: Installation,
    store: str,
    cursor_file: Path,
    channel: str | None = None,
    token: str | None = None,
) -> AsyncIterator[Previous]:
    """The Python SDK of then follows the store, or this channel of it with this token."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        FOLDER / "follow.py",
        site.core_url,
        token or site.token("owner", store),
        channel or f"store:{store}",
        cursor_file,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ARCHIVE), "PYTHONSAFEPATH": "1"},
    )
    previous = Previous(process)
    reading = asyncio.create_task(previous.read())
    try:
        await previous.until(lambda: bool(previous.said))
        assert previous.said[0]["sdk"].startswith(str(ARCHIVE))
        yield previous
    finally:
        process.kill()
        await process.wait()
        await reading


async def test_it_takes_a_snapshot(site: Installation, store: str, tmp_path: Path) -> None:
    await orders(site, store, 3)
    async with following(site, store, tmp_path / "cursor") as previous:
        await previous.is_at(*await core_says(site, store))
        assert previous.resets == ["first_sync"]
        assert previous.events == []


async def test_it_takes_a_snapshot_in_pages(site: Installation, store: str, tmp_path: Path) -> None:
    large = [Item("x" * 200, 1, 1, "y" * 500)] * 70
    async with OrderProducer(site.core_url, site.token("owner", store)) as producer:
        for n in range(24):
            await producer.place(store, large, currency="KRW", table_id=str(n))
    assert (await synced(site, store))["snapshot"]["next"] is not None
    async with following(site, store, tmp_path / "cursor") as previous:
        await previous.is_at(*await core_says(site, store))
        assert previous.resets == ["first_sync"]


async def test_it_follows_the_stream(site: Installation, store: str, tmp_path: Path) -> None:
    async with following(site, store, tmp_path / "cursor") as previous:
        await previous.becomes("live")
        await orders(site, store, 3)
        head, digest = await core_says(site, store)
        await previous.is_at(head, digest)
        assert previous.events == list(range(1, head + 1))
        assert previous.modes[-1] == "live"


async def test_it_polls_while_the_event_server_is_away_and_comes_back(
    site: Installation, store: str, tmp_path: Path
) -> None:
    async with following(site, store, tmp_path / "cursor") as previous:
        await previous.becomes("live")
        site.events.kill()
        try:
            await previous.becomes("polling")
            await orders(site, store, 3)
            await previous.is_at(*await core_says(site, store))
        finally:
            site.events.start()
            site.events.wait_ready(SOON_S)
        await previous.becomes("live")
        await orders(site, store, 2)
        head, digest = await core_says(site, store)
        await previous.is_at(head, digest)
        assert previous.events == list(range(1, head + 1))


async def test_it_goes_on_from_its_cursor_after_a_restart(
    site: Installation, store: str, tmp_path: Path
) -> None:
    await orders(site, store, 2)
    async with following(site, store, tmp_path / "cursor") as previous:
        await previous.becomes("live")
        await orders(site, store, 1)
        before, digest = await core_says(site, store)
        await previous.is_at(before, digest)
    await orders(site, store, 2)
    async with following(site, store, tmp_path / "cursor") as previous:
        head, digest = await core_says(site, store)
        await previous.is_at(head, digest)
        assert previous.resets == []
        # The event in hand when it was killed may come once more.
        assert previous.events[0] in (before, before + 1)
        assert previous.events == list(range(previous.events[0], head + 1))


@asynccontextmanager
async def page_of_then(site: Installation, store: str) -> AsyncIterator[Page]:
    """A page of Core's origin in which the JavaScript SDK of then follows the store."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        modules = {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if name.startswith(JAVASCRIPT) and name.endswith(".js")
        }

    async def serve(route: Route) -> None:
        name = Path(route.request.url).name
        await route.fulfill(body=modules[name], content_type="text/javascript")

    async with chromium() as browser:
        page = await browser.new_page()
        await page.route("**/previous/*.js", serve)
        await page.goto(f"{site.core_url}/healthz")
        await page.evaluate(
            """async ([token, channel]) => {
                const { Client } = await import("/previous/client.js");
                const { Transport } = await import("/previous/transport.js");
                const transport = new Transport(location.origin, token, () => client.report("t-1"));
                window.client = new Client({
                    channels: [channel],
                    transport,
                    settings: { streamFailures: 1, backoffFirst: 0.05, backoffMost: 0.5 },
                    changed: () => undefined,
                    clock: () => performance.now() / 1000,
                    uniform: (low, high) => low + (high - low) * Math.random(),
                });
                client.start();
            }""",
            [site.token("owner", store), f"store:{store}"],
        )
        yield page


async def page_becomes(page: Page, mode: str) -> None:
    await page.wait_for_function("mode => client.mode === mode", arg=mode, timeout=SOON_S * 1000)


async def page_is_at(page: Page, store: str, head: int, digest: str) -> None:
    """Return once the page has all events up to the head and the same orders."""
    await page.wait_for_function(
        """([channel, head, digest]) =>
            client.status.positions[channel] === head && client.book.digest(channel) === digest""",
        arg=[f"store:{store}", head, digest],
        timeout=SOON_S * 1000,
    )


async def test_the_javascript_of_then_syncs_follows_polls_and_comes_back(
    site: Installation, store: str
) -> None:
    await orders(site, store, 3)
    async with page_of_then(site, store) as page:
        await page_becomes(page, "live")
        await page_is_at(page, store, *await core_says(site, store))
        await orders(site, store, 2)
        await page_is_at(page, store, *await core_says(site, store))
        site.events.kill()
        try:
            await page_becomes(page, "polling")
            await orders(site, store, 2)
            await page_is_at(page, store, *await core_says(site, store))
        finally:
            site.events.start()
            site.events.wait_ready(SOON_S)
        await page_becomes(page, "live")
        await orders(site, store, 1)
        head, digest = await core_says(site, store)
        await page_is_at(page, store, head, digest)
    assert head == 16, "each order was placed, and took one step"


async def place_at(site: Installation, store: str, table: str, count: int) -> None:
    """So many new orders at one table, each of which is accepted."""
    async with OrderProducer(site.core_url, site.token("owner", store)) as producer:
        for _ in range(count):
            order = await producer.place(store, ITEMS, currency="KRW", table_id=table)
            await producer.transition(order.id, "accepted")


async def head_of_table(site: Installation, token: str, channel: str) -> tuple[int, str]:
    """The head and the digest of a table's channel."""
    async with httpx.AsyncClient(base_url=site.core_url) as http:
        headers = {"authorization": f"Bearer {token}"}
        answer = await http.get("/v1/sync", params={"channel": channel}, headers=headers)
    (found,) = answer.json()["channels"]
    return found["head"], found["digest"]


async def test_documents_that_change_all_the_time_do_not_disturb_it(
    site: Installation, store: str, tmp_path: Path
) -> None:
    """Live, polling, back on the stream and after a restart: the same orders, no more resets."""
    channel, token = f"table:{store}/5", sign(site.keys, guest(store, "5"))
    at_table = tmp_path / "table"
    async with changing(site.core_url, site.keys, store, ["5"]) as editors:
        async with (
            following(site, store, tmp_path / "store") as till,
            following(site, store, at_table, channel, token) as phone,
        ):
            both = (till, phone)

            async def all_is_equal() -> None:
                edits = editors.edits
                await place_at(site, store, "5", 2)
                await till.is_at(*await core_says(site, store))
                await phone.is_at(*await head_of_table(site, token, channel))
                assert editors.edits > edits, "documents have changed meanwhile"

            for one in both:
                await one.becomes("live")
            await all_is_equal()
            site.events.kill()
            try:
                for one in both:
                    await one.becomes("polling")
                await all_is_equal()
            finally:
                site.events.start()
                site.events.wait_ready(SOON_S)
            for one in both:
                await one.becomes("live")
            await all_is_equal()
            for one in both:
                assert one.resets == ["first_sync"]
                assert one.events == list(range(1, 13))
        await place_at(site, store, "5", 1)
        async with following(site, store, at_table, channel, token) as phone:
            await phone.is_at(*await head_of_table(site, token, channel))
            assert phone.resets == []
            assert phone.events[-2:] == [13, 14]


async def test_the_javascript_of_then_is_not_disturbed_by_documents_either(
    site: Installation, store: str
) -> None:
    async with (
        changing(site.core_url, site.keys, store, ["5"]) as editors,
        page_of_then(site, store) as page,
    ):
        await page_becomes(page, "live")
        edits = editors.edits
        await place_at(site, store, "5", 3)
        await page_is_at(page, store, *await core_says(site, store))
        assert editors.edits > edits, "documents have changed meanwhile"
        assert await page.evaluate("client.mode") == "live"
