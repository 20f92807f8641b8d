"""The kitchen's functions besides orders: sold out, waiting time, pause, totals, search."""

from __future__ import annotations

import re

import httpx
from playwright.async_api import Browser, expect

from tests.browser.restaurant import PAGES, Store, card, device, opened, shot, still

pytestmark = PAGES


async def test_what_is_sold_out_cannot_be_ordered_and_comes_back(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner, device(browser) as other:
        terminal = await opened(owner, store.terminal_url)
        second = await opened(other, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        await second.locator("#open-kitchen").click()
        out = terminal.get_by_role("button", name="Bulgogi sold out", exact=True)
        await out.click()
        await expect(out).to_have_attribute("aria-pressed", "true")
        shown = second.get_by_role("button", name="Bulgogi sold out", exact=True)
        await expect(shown).to_have_attribute("aria-pressed", "true")
        for name in ("Bulgogi", "불고기"):
            refused = await store.try_to_place(name)
            assert (refused.status_code, refused.json()["type"]) == (
                409,
                "urn:yabam:problem:sold-out",
            )
        await shot(terminal, "terminal-kitchen")
        await still(terminal)
        await out.click()
        await expect(shown).to_have_attribute("aria-pressed", "false")
        assert (await store.try_to_place("Bulgogi")).status_code == 201


async def test_orders_are_paused_and_taken_again(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        await terminal.get_by_role("button", name="Pause orders").click()
        strip = terminal.locator("#paused")
        await expect(strip).to_contain_text("No new orders are taken")
        await expect(terminal.locator("#kitchen")).not_to_contain_text("Will be sent")
        refused: httpx.Response = await store.try_to_place("Rice")
        assert refused.json()["type"] == "urn:yabam:problem:not-taking-orders"
        await still(terminal)
        await strip.get_by_role("button", name="Take orders again").click()
        await expect(strip).to_be_hidden()
        await expect(terminal.locator("#kitchen")).not_to_contain_text("Will be sent")
        assert (await store.try_to_place("Rice")).status_code == 201


async def test_the_waiting_time_is_told_to_all(store: Store, browser: Browser) -> None:
    async with device(browser) as owner, device(browser) as other:
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        more = terminal.get_by_role("button", name="5 minutes more")
        for minutes in (5, 10, 15, 20):
            await more.click()
            await expect(terminal.locator(".waiting-time output")).to_have_text(f"{minutes} min")
        second = await opened(other, store.terminal_url)
        await second.locator("#open-kitchen").click()
        await expect(second.locator(".waiting-time output")).to_have_text("20 min")


async def test_all_that_is_to_be_made_is_counted_and_what_is_done_is_not(
    store: Store, browser: Browser
) -> None:
    async with device(browser, (1280, 800)) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        items = [
            {"name": "Bibimbap", "quantity": 2, "unit_price": 9500},
            {"name": "Tea", "quantity": 1, "unit_price": 2000},
        ]
        await store.place(items=items)
        order = await store.step(await store.place(items=items), "accepted")
        total = terminal.locator("#all-day")
        await expect(total).to_contain_text("4×Bibimbap")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await still(terminal)
        bump = card(terminal, order).get_by_role("button", name="Bibimbap")
        await bump.click()
        await expect(bump).to_have_attribute("aria-pressed", "true")
        await expect(total).to_contain_text("2×Bibimbap")
        await expect(total).to_contain_text("2×Tea")


async def test_an_order_is_found_among_many(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        for table in range(1, 25):
            order = await store.place(table_id=str(table))
        wanted = await store.place(table_id="77", note="for the regular")
        await card(terminal, wanted).wait_for()
        await terminal.keyboard.press("/")
        await terminal.keyboard.type("77 regular")
        await expect(card(terminal, order)).to_have_class(re.compile("unmatched"))
        await expect(card(terminal, wanted)).to_be_in_viewport()
        await terminal.locator("#search").fill("")
        await expect(terminal.locator(".card.unmatched")).to_have_count(0)
