"""The guest's page in a real browser, with the whole system."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.restaurant import PAGES, SIZES, Store, card, device, lit, opened, shot

pytestmark = PAGES


async def order_from_the_menu(page: Page, note: str = "") -> None:
    """Two of the first dish, one of the second."""
    await fill_the_cart(page, note)
    await page.locator("#order").click()


async def fill_the_cart(page: Page, note: str = "") -> None:
    """Two of the first dish, one of the second."""
    dishes = page.locator(".dish")
    for dish, times in ((0, 2), (1, 1)):
        for _ in range(times):
            await dishes.nth(dish).get_by_role("button", name="One more").click()
    await expect(page.locator("#order")).to_contain_text("3")
    if note:
        await page.locator("#cart-open").click()
        await page.locator("#note").fill(note)


async def take_back(page: Page) -> None:
    """Take the newest order back, and say yes."""
    await page.locator("#orders .order").first.get_by_role("button", name="Cancel").click()
    await page.locator(".ask").get_by_role("button", name="Take it back").click()


async def test_a_guest_orders_and_sees_how_far_it_has_come(store: Store, browser: Browser) -> None:
    async with device(browser, SIZES["phone"], touch=True) as guest, device(browser) as owner:
        table = await opened(guest, store.table_url("5"))
        terminal = await opened(owner, store.terminal_url)
        await expect(table.locator("#no-orders")).to_be_visible()
        await shot(table, "table-empty-phone")
        await order_from_the_menu(table, "덜 맵게 해 주세요")
        row = table.locator("#orders .order")
        await expect(row).to_have_count(1)
        await expect(row).to_have_attribute("data-status", "placed")
        (order,) = await store.open_orders()
        assert (order["table_id"], order["note"]) == ("5", "덜 맵게 해 주세요")
        assert sum(item["quantity"] for item in order["items"]) == 3
        await card(terminal, order).locator('[data-to="accepted"]').click()
        for status in ("accepted", "preparing", "ready", "served"):
            if status != "accepted":
                await store.step(order, status)
            await expect(row).to_have_attribute("data-status", status)
        await shot(table, "table-phone")


async def test_a_guest_takes_an_order_back_while_nobody_has_accepted_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        table = await opened(guest, store.table_url("5"))
        await order_from_the_menu(table)
        row = table.locator("#orders .order")
        await take_back(table)
        await expect(row).to_have_attribute("data-status", "cancelled")
        await order_from_the_menu(table)
        await expect(row).to_have_count(2)
        (order,) = await store.open_orders()
        await store.step(order, "accepted")
        await expect(row.first).to_have_attribute("data-status", "accepted")
        await expect(row.first.get_by_role("button")).to_have_count(0)


async def test_a_guest_is_told_why_an_order_was_rejected(store: Store, browser: Browser) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        table = await opened(guest, store.table_url("5"))
        await order_from_the_menu(table)
        await expect(table.locator("#orders .order")).to_have_count(1)
        (order,) = await store.open_orders()
        await store.step(order, "rejected", reason="Sold out <b>today</b>")
        row = table.locator("#orders .order")
        await expect(row).to_have_attribute("data-status", "rejected")
        await expect(row).to_contain_text("Sold out <b>today</b>")


async def test_a_table_sees_its_own_orders_and_nothing_of_the_guest_s_name(
    store: Store, browser: Browser
) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        table = await opened(guest, store.table_url("5"))
        await store.place(table_id="6")
        await store.place(table_id="5", guest={"name": "Kim Minji", "phone": "010-1234"})
        await expect(table.locator("#orders .order")).to_have_count(1)
        await expect(table.locator("body")).not_to_contain_text("Minji")
        assert "Minji" not in await table.evaluate("JSON.stringify({...localStorage})")


async def test_an_order_that_the_network_kept_is_placed_once(
    store: Store, browser: Browser
) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        table = await opened(guest, store.table_url("5"))
        await guest.set_offline(True)
        await order_from_the_menu(table)
        await expect(table.locator("#order")).to_be_disabled()
        await guest.set_offline(False)
        await lit(table, "live")
        await expect(table.locator("#orders .order")).to_have_count(1)
        assert len(await store.open_orders()) == 1


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_and_can_be_touched(store: Store, browser: Browser, size: str) -> None:
    async with device(browser, SIZES[size], touch=True) as guest:
        table = await opened(guest, store.table_url("5"))
        await store.place()
        await expect(table.locator("#orders .order")).to_have_count(1)
        await shot(table, f"table-{size}")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await table.evaluate(wide) == 0
        low = await table.locator("button:visible").evaluate_all(
            "all => all.filter(b => b.getBoundingClientRect().height < 43.5).map(b => b.innerText)"
        )
        assert low == []


async def test_without_a_token_the_page_says_what_to_do(store: Store, browser: Browser) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        page = await guest.new_page()
        await page.goto(f"{store.site.stack.core_url}/table")
        await expect(page.locator("#sign-in h1")).not_to_be_empty()
        await shot(page, "table-sign-in")
