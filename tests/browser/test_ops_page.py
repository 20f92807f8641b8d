"""The ops page in a real browser, with the whole system that it watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from deploy.local.broker import EmbeddedBroker
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.data_folder import data_folder
from tests.drilled_postgres import DrilledPostgres
from tests.forked import FORKED
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token
from tests.parts import FETCH_WAIT, migrated_database

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("browser-ops"),
]

SIZES = {"1280x800": (1280, 800), "phone": (390, 844)}
SOON_MS = 20_000
expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything; an order that no device has received is late after a second."""
    with data_folder("yabam-ops-") as folder:
        postgres = DrilledPostgres(folder / "postgres", durable=False)
        broker = EmbeddedBroker(folder)
        postgres.start()
        broker.start()
        settings = FETCH_WAIT | {
            "YABAM_UNRECEIVED_AFTER_S": "1",
            "YABAM_REACH_EVERY_S": "0.2",
        }
        stack = Stack(
            Addresses(
                asyncio.run(migrated_database(postgres)), broker.bootstrap, ports=free_ports()
            ),
            KEYS,
            folder,
            settings,
            starter=FORKED,
        )
        try:
            stack.start()
            yield stack
        finally:
            stack.kill()
            broker.kill()
            postgres.stop_at_once()


@asynccontextmanager
async def viewer(
    browser: Browser, size: tuple[int, int] = SIZES["1280x800"], locale: str = "en-US"
) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """A page on which nothing may be refused by its policy, and no error be raised."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale
    )
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda line: errors.append(line.text) if "Content Security" in line.text else None,
    )
    try:
        yield context, page
    finally:
        await context.close()
    assert not errors


def address(stack: Stack, held: str) -> str:
    return f"{stack.core_url}/ops#token={held}"


def tile(page: Page, figure: str) -> str:
    return f'[data-figure="{figure}"] .value'


async def place(stack: Stack, store: str, orders: int = 1) -> None:
    async with httpx.AsyncClient(base_url=stack.core_url) as client:
        for _ in range(orders):
            headers = bearer(token("producer", store), idempotency_key=uuid4().hex)
            answer = await client.post("/v1/orders", json=an_order(store), headers=headers)
            assert answer.status_code == 201


async def says_whom_to_phone(stack: Stack, store: str) -> None:
    value = {"name": "Kim", "phone": "02-555-0100"}
    edit = {"n": 1, "channel": f"team:{store}", "key": "contact", "base": 0, "do": {"set": value}}
    body = {"client": uuid4().hex, "edits": [edit]}
    async with httpx.AsyncClient(base_url=stack.core_url) as client:
        answer = await client.post("/v1/edits", json=body, headers=bearer(token("owner", store)))
    assert [one["outcome"] for one in answer.json()["outcomes"]] == ["applied"]


async def kept_a_point(stack: Stack) -> None:
    """Return once Core has kept a point of the day."""
    headers = bearer(token("ops"))
    async with httpx.AsyncClient(base_url=stack.core_url, headers=headers) as client:
        async with asyncio.timeout(30):
            while not (await client.get("/v1/ops/day")).json()["points"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@asynccontextmanager
async def following(stack: Stack, store: str) -> AsyncIterator[None]:
    """An owner's device that is live."""
    headers = bearer(token("owner", store), yabam_device=f"till-{store}; mode=live; pending=0")
    async with httpx.AsyncClient(timeout=30) as client:
        query = {"channel": f"store:{store}"}
        answer = await client.get(f"{stack.core_url}/v1/sync", params=query, headers=headers)
        grant = answer.json()["stream"]
        async with client.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream:
            frames = stream.aiter_raw()  # held on to: when it goes, so does the connection
            await anext(frames)
            yield


async def answers(stack: Stack) -> None:
    """Return once Core takes requests, whether or not it can serve them."""
    async with httpx.AsyncClient(base_url=stack.core_url) as client, asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                await client.get("/healthz")
                return
            await asyncio.sleep(0.05)


async def back(process: Process) -> None:
    process.start()
    await asyncio.to_thread(process.wait_ready, 30)


class TestFigures:
    async def test_they_move_while_one_looks(self, stack: Stack, browser: Browser) -> None:
        store = new_store()
        async with viewer(browser) as (_, page), following(stack, store):
            await page.goto(address(stack, token("ops")))
            await expect(page.locator(tile(page, "connections"))).to_have_text("1")
            await expect(page.locator(tile(page, "latency"))).to_have_text("–")
            await place(stack, store, orders=10)
            await expect(page.locator(tile(page, "latency"))).to_have_text(
                re.compile(r"^[\d.]+ m?s$")
            )
            await expect(page.locator(tile(page, "events"))).not_to_have_text("0/s")
            busiest = page.locator("#top tbody tr").first
            await expect(busiest).to_have_text(re.compile(rf"store:{store}.*1.*10", re.DOTALL))
            live = page.locator("#clients li", has_text="Live")
            await expect(live.locator("b")).to_have_text("1")
            assert "token" not in page.url

    @pytest.mark.parametrize("size", SIZES)
    async def test_a_store_that_must_be_phoned_is_named(
        self, stack: Stack, browser: Browser, size: str
    ) -> None:
        store = new_store()
        await says_whom_to_phone(stack, store)
        await place(stack, store, orders=2)
        async with viewer(browser, SIZES[size]) as (_, page):
            await page.goto(address(stack, token("ops")))
            row = page.locator("#late tbody tr", has_text=store)
            await expect(row).to_contain_text("No device has it")
            await expect(row).to_contain_text("2")
            await row.get_by_role("button", name="Where is it?").click()
            await expect(row).to_contain_text("On no device yet.")
            await expect(row).to_contain_text("02-555-0100")
            await expect(page.locator("#alerts")).to_contain_text("not received an order")
            await expect(page.locator("#nodes tbody tr")).to_have_count(4)
            width = await page.evaluate("document.scrollingElement.scrollWidth")
            assert width <= SIZES[size][0], "the page is wider than the screen"
            await row.get_by_role("button", name="Acknowledge").click()
            await expect(row).to_contain_text("✓ ops-")
            await page.reload()
            await expect(row).to_contain_text("✓ ops-")


class TestFaults:
    async def test_a_process_that_is_gone_is_told_of_until_it_is_back(
        self, stack: Stack, browser: Browser
    ) -> None:
        async with viewer(browser) as (_, page):
            await page.goto(address(stack, token("ops")))
            await expect(page.locator("#nodes .state-ready")).to_have_count(4)
            stack.events.kill()
            try:
                row = page.locator("#nodes tbody tr").first
                await expect(row).to_contain_text("Down")
                await expect(row).to_contain_text("Event server")
                await expect(row).to_contain_text(str(stack.addresses.ports.events))
                await expect(page.locator("#verdict")).to_contain_text("Orders late: Event server")
                await expect(page.locator('[data-level="red"] .value')).not_to_have_count(0)
                fault = page.locator("#alerts .red", has_text=str(stack.addresses.ports.events))
                await expect(fault).to_be_visible()
            finally:
                await back(stack.events)
            await expect(page.locator("#nodes .state-ready")).to_have_count(4)
            await expect(fault).to_have_count(0)

    async def test_one_that_died_before_anybody_looked_is_known_by_what_is_kept(
        self, stack: Stack, browser: Browser
    ) -> None:
        await kept_a_point(stack)
        stack.events.kill()
        stack.core.kill()
        try:
            await back(stack.core)
            async with viewer(browser) as (_, page):
                await page.goto(address(stack, token("ops")))
                row = page.locator("#nodes tbody tr", has_text=str(stack.addresses.ports.events))
                await expect(row).to_contain_text("Event server")
        finally:
            await back(stack.events)

    async def test_without_core_the_last_figures_stay_and_are_marked_as_old(
        self, stack: Stack, browser: Browser
    ) -> None:
        async with viewer(browser) as (_, page):
            await page.goto(address(stack, token("ops")))
            await expect(page.locator(".lamp-mode")).to_have_text("Live")
            stack.core.kill()
            try:
                await expect(page.locator(".lamp-mode")).to_have_text("Not connected")
                await expect(page.locator("#verdict")).to_contain_text("these are the figures of")
                await expect(page.locator(tile(page, "watermark"))).to_be_visible()
                await expect(page.locator("#ops")).to_have_class("stale")
            finally:
                await back(stack.core)
            await expect(page.locator(".lamp-mode")).to_have_text("Live")
            await expect(page.locator("#ops")).to_have_class("")

    async def test_a_core_that_is_told_of_no_process_says_what_to_set(
        self, stack: Stack, browser: Browser, tmp_path: Path
    ) -> None:
        addresses = Addresses(stack.addresses.database, "127.0.0.1:1", ports=free_ports())
        alone = Stack(addresses, KEYS, tmp_path, {"YABAM_OPS_NODES": "[]"}, starter=FORKED)
        try:
            await back(alone.core)
            async with viewer(browser) as (_, page):
                await page.goto(address(alone, token("ops")))
                await expect(page.locator("#nodes")).to_contain_text("YABAM_OPS_NODES")
                await expect(page.locator("#nodes tbody tr")).to_have_count(1)
                await expect(page.locator(tile(page, "connections"))).to_have_text("–")
        finally:
            alone.core.kill()

    async def test_without_postgres_the_page_says_so_and_shows_the_rest(
        self, stack: Stack, browser: Browser, tmp_path: Path
    ) -> None:
        nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
        addresses = Addresses(nowhere, "127.0.0.1:1", ports=free_ports())
        nodes = json.dumps([stack.events_url])
        alone = Stack(addresses, KEYS, tmp_path, {"YABAM_OPS_NODES": nodes}, starter=FORKED)
        alone.core.start()
        try:
            await answers(alone)
            async with viewer(browser) as (_, page):
                await page.goto(address(alone, token("ops")))
                await expect(page.locator("#verdict")).to_contain_text("No orders can be placed")
                await expect(page.locator(tile(page, "outbox"))).to_have_text("–")
                await expect(page.locator("#late")).to_contain_text("Not known")
                await expect(page.locator("#nodes .state-ready")).to_have_count(2)
                await expect(page.locator(tile(page, "connections"))).to_have_text("0")
        finally:
            alone.core.kill()

    async def test_who_finds_no_room_is_told_and_let_in_when_there_is_some(
        self, stack: Stack, browser: Browser, tmp_path: Path
    ) -> None:
        addresses = Addresses(stack.addresses.database, "127.0.0.1:1", ports=free_ports())
        alone = Stack(addresses, KEYS, tmp_path, {"YABAM_OPS_VIEWERS": "1"}, starter=FORKED)
        try:
            await back(alone.core)
            async with viewer(browser) as (_, second):
                async with viewer(browser) as (_, first):
                    await first.goto(address(alone, token("ops")))
                    await expect(first.locator(".lamp-mode")).to_have_text("Live")
                    await second.goto(address(alone, token("ops")))
                    await expect(second.locator(".lamp-mode")).to_have_text("Waiting for room")
                    await expect(second.locator("#verdict")).to_contain_text("too many people")
                await expect(second.locator(".lamp-mode")).to_have_text("Live")
                await expect(second.locator("#verdict")).not_to_contain_text("too many people")
        finally:
            alone.core.kill()


class TestSigningIn:
    @pytest.mark.parametrize(
        ("held", "message"),
        [
            ("rubbish", "This is not a token"),
            (token("ops", lifetime_s=-1), "has expired"),
            (token("owner", "1"), "takes a token of role ops"),
            (token("ops", lifetime_s=86_400)[:-6] + "AAAAAA", "The server refused this token"),
        ],
        ids=["malformed", "expired", "of an owner", "forged"],
    )
    async def test_a_token_that_does_not_do_is_told_why(
        self, stack: Stack, browser: Browser, held: str, message: str
    ) -> None:
        async with viewer(browser) as (_, page):
            await page.goto(f"{stack.core_url}/ops")
            await page.get_by_label("Token").fill(held)
            await page.get_by_role("button", name="Show operations").click()
            await expect(page.get_by_role("alert")).to_contain_text(message)
            await expect(page.locator("#ops")).to_be_hidden()

    async def test_who_signed_in_stays_so_over_a_reload_and_until_signing_out(
        self, stack: Stack, browser: Browser
    ) -> None:
        async with viewer(browser, locale="ko-KR") as (_, page):
            await page.goto(f"{stack.core_url}/ops")
            await page.get_by_label("토큰").fill(token("ops"))
            await page.get_by_role("button", name="현황 보기").click()
            await expect(page.locator(".lamp-mode")).to_have_text("실시간")
            await page.reload()
            await expect(page.locator(".lamp-mode")).to_have_text("실시간")
            await page.get_by_role("button", name="English").click()
            await expect(page.get_by_role("heading", name="Operations")).to_be_visible()
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_label("Token")).to_be_visible()
            await page.reload()
            await expect(page.get_by_label("Token")).to_be_visible()
