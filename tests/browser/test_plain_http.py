"""The pages over plain HTTP in a store's network: no secure context, so no Web Locks.

Every tab follows for itself there, and what the browser kept is shown before anything else is
ready. Localhost counts as secure, so the pages are opened under another name.
"""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from tests.browser.restaurant import (
    PAGES,
    PLAIN_NAME,
    SIZES,
    Site,
    Store,
    card,
    device,
    lit,
    opened,
)
from tests.browser.test_table_page import order_from_the_menu, take_back

pytestmark = PAGES


def plain(url: str) -> str:
    """The address under a name that the browser does not take for this machine."""
    return url.replace("127.0.0.1", PLAIN_NAME).replace("localhost", PLAIN_NAME)


async def expect_no_secure_context(page: Page) -> None:
    """What this file is about is so."""
    assert await page.evaluate("[isSecureContext, navigator.locks === undefined]") == [False, True]


async def kept(page: Page) -> None:
    """Return once the browser has stored what the page shows."""
    await page.wait_for_function(
        """(many) => Object.keys(localStorage)
            .filter((key) => /^yabam[.](terminal|table)[.]/.test(key))
            .some((key) =>
                Object.values(JSON.parse(localStorage[key]).orders).flat().length === many)""",
        arg=await page.locator(".card, #orders .order").count(),
    )


async def test_the_terminal_goes_on_after_a_reload_with_known_orders(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, plain(store.terminal_url))
        await expect_no_secure_context(terminal)
        orders = [await store.place(table_id=str(table)) for table in (1, 2)]
        await expect(terminal.locator(".card")).to_have_count(2)
        await kept(terminal)
        await terminal.reload()
        await lit(terminal, "live")
        await expect(terminal.locator(".card")).to_have_count(2)
        await card(terminal, orders[0]).locator('[data-to="accepted"]').click()
        await expect(card(terminal, orders[0])).to_have_attribute("data-status", "accepted")
        await expect(card(terminal, orders[0]).locator(".sending-note")).to_have_count(0)
        assert (await store.read(orders[0]["id"]))["status"] == "accepted"


async def test_the_table_s_page_goes_on_after_a_reload_with_known_orders(
    store: Store, browser: Browser
) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        table = await opened(guest, plain(store.table_url("5")))
        await expect_no_secure_context(table)
        await order_from_the_menu(table)
        await expect(table.locator("#orders .order")).to_have_attribute("data-status", "placed")
        await expect(table.locator("#orders .sending")).to_have_count(0)
        await kept(table)
        await table.reload()
        await lit(table, "live")
        row = table.locator("#orders .order")
        await take_back(table)
        await expect(row).to_have_attribute("data-status", "cancelled")
        await order_from_the_menu(table)
        await expect(row).to_have_count(2)
        assert len(await store.open_orders()) == 1


async def test_a_press_that_was_not_sent_goes_out_after_a_reload(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, plain(store.terminal_url))
        order = await store.place()
        await card(terminal, order).wait_for()
        await terminal.route("**/transitions", lambda route: route.abort())
        await card(terminal, order).locator('[data-to="accepted"]').click()
        await expect(card(terminal, order).locator(".retrying")).to_have_count(1)
        await kept(terminal)
        terminal.on("dialog", lambda dialog: dialog.accept())
        await terminal.unroute("**/transitions")
        await terminal.reload()
        await lit(terminal, "live")
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)
        assert (await store.read(order["id"]))["status"] == "accepted"


async def test_two_tabs_each_follow_and_a_press_in_one_shows_in_the_other(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        first = await opened(owner, plain(store.terminal_url))
        second = await opened(owner, plain(store.terminal_url))
        order = await store.place()
        for tab in (first, second):
            await card(tab, order).wait_for()
        await card(second, order).locator('[data-to="accepted"]').click()
        await expect(card(first, order)).to_have_attribute("data-status", "accepted")
        for tab in (first, second):
            await kept(tab)
            await tab.reload()
            await lit(tab, "live")
            await expect(card(tab, order)).to_have_attribute("data-status", "accepted")


async def test_the_ops_page_shows_its_figures_and_stays_signed_in_over_a_reload(
    site: Site, browser: Browser
) -> None:
    async with device(browser) as operator:
        url = f"{site.stack.core_url}/ops#token={site.token('ops')}"
        ops = await opened(operator, plain(url))
        await expect_no_secure_context(ops)
        await expect(ops.locator("#tiles .tile")).not_to_have_count(0)
        await ops.reload()
        await lit(ops, "live")
