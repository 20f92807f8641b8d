"""The pages where the browser forbids storage: they work until a reload, and say so in one line."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.restaurant import PAGES, SIZES, Site, Store, card, device, opened
from tests.browser.test_table_page import order_from_the_menu

pytestmark = PAGES

_FORBIDDEN: Final = """
    const refuse = () => { throw new DOMException("The request was denied.", "SecurityError"); };
    const denied = () => Promise.reject(new DOMException("denied", "SecurityError"));
    if (navigator.locks) navigator.locks.request = denied;
    globalThis.BroadcastChannel = class { constructor() { refuse(); } };
"""
WAYS: Final = {
    "throws": _FORBIDDEN
    + """for (const name of ["localStorage", "sessionStorage", "indexedDB"])
        Object.defineProperty(globalThis, name, { get: refuse });""",
    "null": """for (const name of ["localStorage", "sessionStorage", "indexedDB"])
        Object.defineProperty(globalThis, name, { get: () => null });""",
    "full": """Storage.prototype.setItem = () => {
        throw new DOMException("The quota has been exceeded.", "QuotaExceededError"); };""",
}


async def expect_said(page: Page, way: str) -> None:
    """Where nothing is kept, one line says so."""
    line = page.locator("#storage")
    if way == "full":
        await expect(line).to_be_hidden()
    else:
        await expect(line).to_contain_text("This browser stores nothing")


@pytest.mark.parametrize("way", WAYS)
async def test_the_terminal_works(store: Store, browser: Browser, way: str) -> None:
    async with device(browser) as owner:
        await owner.add_init_script(WAYS[way])
        terminal = await opened(owner, store.terminal_url)
        await expect_said(terminal, way)
        order = await store.place()
        await terminal.locator("#sound").click()
        await terminal.locator('#terminal [data-action="language"]').click()
        await card(terminal, order).locator('[data-to="accepted"]').click()
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)
        assert (await store.read(order["id"]))["status"] == "accepted"
        await terminal.locator('[data-action="sign-out"]').click()
        await expect(terminal.locator("#sign-in")).to_be_visible()


@pytest.mark.parametrize("way", WAYS)
async def test_the_table_s_page_works(store: Store, browser: Browser, way: str) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        await guest.add_init_script(WAYS[way])
        table = await opened(guest, store.table_url("5"))
        await expect_said(table, way)
        await order_from_the_menu(table)
        await expect(table.locator("#orders .order")).to_have_attribute("data-status", "placed")
        assert len(await store.open_orders()) == 1


async def test_the_ops_page_works(site: Site, browser: Browser) -> None:
    async with device(browser) as operator:
        await operator.add_init_script(WAYS["throws"])
        ops = await opened(operator, f"{site.stack.core_url}/ops#token={site.token('ops')}")
        await expect_said(ops, "throws")
        await expect(ops.locator("#tiles .tile")).not_to_have_count(0)


async def test_a_refused_token_is_told_of_all_the_same(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        await owner.add_init_script(WAYS["throws"])
        page = await owner.new_page()
        expired = site.token("owner", store.id, lifetime_s=-5)
        await page.goto(f"{site.stack.core_url}/terminal#token={expired}")
        await expect(page.locator("#sign-in-error")).to_contain_text("expired")
        await expect(page.locator("#keep")).to_be_hidden()
