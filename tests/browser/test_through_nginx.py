"""The owner's terminal in a real browser, through a real nginx: HTTPS, HTTP/2, one origin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.deploy.site import Site, started
from tests.parts import FETCH_WAIT

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-through-nginx"),
]

SOON_MS: Final = 20_000
SETTINGS: Final = FETCH_WAIT | {"YABAM_POLL_AFTER_MS": "500"}


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with started(SETTINGS) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="package")
async def site(running: Site) -> AsyncIterator[Site]:
    running.choose_store()
    yield running
    await asyncio.to_thread(running.mend)


@pytest_asyncio.fixture(loop_scope="package")
async def terminal(site: Site, browser: Browser) -> AsyncIterator[Page]:
    """The terminal of the test's store, signed in and live."""
    async with await browser.new_context(ignore_https_errors=True) as context:
        page = await context.new_page()
        await page.goto(f"{site.nginx.url}/terminal#token={site.token}&store={site.store}")
        await expect_lamp(page, "live")
        yield page


async def expect_lamp(page: Page, mode: str) -> None:
    await expect(page.locator("#lamp")).to_have_attribute("data-mode", mode, timeout=SOON_MS)


async def place(site: Site, table: str) -> str:
    """Place an order; its id."""
    body = {
        "store_id": site.store,
        "table_id": table,
        "currency": "KRW",
        "items": [{"name": "Bibimbap", "quantity": 1, "unit_price": 9500}],
    }
    async with httpx.AsyncClient(
        base_url=site.nginx.url,
        headers={"authorization": f"Bearer {site.token}"},
        transport=site.transport(),
        timeout=20,
    ) as client:
        answer = await client.post("/v1/orders", json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def test_an_order_shows_and_is_accepted(site: Site, terminal: Page) -> None:
    await place(site, "5")
    card = terminal.locator(".card")
    await expect(card).to_have_attribute("data-status", "placed", timeout=SOON_MS)
    await card.locator('[data-to="accepted"]').click()
    await expect(card).to_have_attribute("data-status", "accepted", timeout=SOON_MS)
    await expect(card.locator(".sending-note")).to_have_count(0, timeout=SOON_MS)


async def test_the_browser_speaks_http_2_for_pages_syncs_and_streams(
    site: Site, terminal: Page
) -> None:
    # The log has a request when it has ended: a stream ends with its page.
    await terminal.close()
    async with asyncio.timeout(SOON_MS / 1000):
        spoken = await protocols_with(site, "/v1/stream")
    assert {"/terminal", "/v1/sync", "/v1/stream"} <= spoken.keys()
    assert set.union(*spoken.values()) == {"HTTP/2.0"}
    assert not re.search(r"ticket=|eyJ", site.nginx.logs())


async def test_with_both_event_servers_gone_it_polls_and_with_them_back_it_is_live(
    site: Site, terminal: Page
) -> None:
    for process in site.events:
        await asyncio.to_thread(process.kill)
    await expect_lamp(terminal, "polling")
    await place(site, "7")
    await expect(terminal.locator(".card")).to_have_count(1, timeout=SOON_MS)
    await asyncio.to_thread(site.mend)
    await expect_lamp(terminal, "live")
    await place(site, "8")
    await expect(terminal.locator(".card")).to_have_count(2, timeout=SOON_MS)


async def test_a_reload_of_nginx_is_not_noticed(site: Site, terminal: Page) -> None:
    await asyncio.to_thread(site.nginx.reload)
    for count in (1, 2, 3):
        await place(site, str(count))
        await expect(terminal.locator(".card")).to_have_count(count, timeout=SOON_MS)
        await expect_lamp(terminal, "live")


async def protocols_with(site: Site, path: str) -> dict[str, set[str]]:
    """As `protocols`, once a request for this path has ended."""
    while True:
        if path in (found := protocols(site)):
            return found
        await asyncio.sleep(0.05)


def protocols(site: Site) -> dict[str, set[str]]:
    """The protocols that a browser has used for each path."""
    found: dict[str, set[str]] = {}
    for entry in site.nginx.requests():
        if "Chrome" in entry["agent"]:
            found.setdefault(entry["path"], set()).add(entry["protocol"])
    return found
