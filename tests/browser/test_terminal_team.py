"""The staff's functions besides orders: stations, late orders, the shift, the history."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Browser, expect

from tests.browser.restaurant import (
    PAGES,
    Store,
    card,
    device,
    opened,
    several_at_once,
    shot,
    still,
)

pytestmark = PAGES


async def test_a_screen_shows_its_station_and_says_so_and_keeps_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, (1280, 800)) as owner:
        terminal = await opened(owner, store.terminal_url)
        meal = await store.place(items=[
            {"name": "비빔밥 Bibimbap", "quantity": 1, "unit_price": 9500},
            {"name": "보리차 Barley tea", "quantity": 3, "unit_price": 2000},
        ])  # fmt: skip
        tea = await store.place(
            items=[{"name": "보리차 Barley tea", "quantity": 2, "unit_price": 2000}]
        )
        special = await store.place(
            items=[{"name": "Chef's secret", "quantity": 1, "unit_price": 2000}]
        )
        await expect(terminal.locator(".card")).to_have_count(3)
        await terminal.locator("#open-kitchen").click()
        await terminal.get_by_role("button", name="Meals", exact=True).click()
        await expect(card(terminal, tea)).to_have_count(0)
        await expect(card(terminal, special)).to_be_visible()
        lines = card(terminal, meal).locator(".items li")
        await expect(lines.nth(0)).not_to_have_class("elsewhere")
        await expect(lines.nth(1)).to_have_class("elsewhere")
        await expect(terminal.locator("#all-day")).to_contain_text("1×비빔밥")
        await expect(terminal.locator("#all-day")).not_to_contain_text("tea")
        await shot(terminal, "terminal-station")
        await terminal.reload()
        strip = terminal.locator("#station")
        await expect(strip).to_contain_text("only orders with: Meals")
        await expect(terminal.locator(".card")).to_have_count(2)
        await strip.get_by_role("button", name="Show all").click()
        await expect(terminal.locator(".card")).to_have_count(3)
        await expect(strip).to_be_hidden()


async def test_when_an_order_is_late_is_said_once_for_all_screens(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner, device(browser) as other:
        terminal = await opened(owner, store.terminal_url)
        second = await opened(other, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        row = terminal.locator('[data-age="new-amber"]')
        await expect(row.locator("output")).to_have_text("2 min")
        await row.get_by_role("button", name="New · amber: one minute earlier").click()
        await expect(row.locator("output")).to_have_text("1 min")
        red = terminal.locator('[data-age="new-red"]')
        for minutes in (4, 3, 2, 1):
            await red.get_by_role("button", name="one minute earlier").click()
            await expect(red.locator("output")).to_have_text(f"{minutes} min")
        await second.locator("#open-kitchen").click()
        await expect(second.locator('[data-age="new-red"] output')).to_have_text("1 min")
        assert (await store.document(f"team:{store.id}", "age-limits"))["value"] == {
            "new": {"amber": 1, "red": 1}
        }


async def test_who_is_on_shift_is_seen_on_all_screens(store: Store, browser: Browser) -> None:
    async with device(browser) as owner, device(browser) as other:
        terminal = await opened(owner, store.terminal_url)
        second = await opened(other, store.terminal_url)
        for page in (terminal, second):
            await page.locator("#open-kitchen").click()
        name = terminal.get_by_label("Name", exact=True)
        for person in ("김민지", "Lee"):
            await name.fill(person)
            await name.press("Enter")
        people = second.locator(".people li")
        await expect(people).to_have_count(2)
        await still(second)
        await second.get_by_role("button", name="Lee leaves").click()
        await expect(terminal.locator(".people li")).to_have_text(["김민지Leaves"])


async def test_an_order_of_this_morning_is_found_and_taken_back(
    store: Store, browser: Browser
) -> None:
    async with device(browser, (1280, 800)) as owner:
        # Their end is what no terminal has seen, as that of a tablet that was bought today.
        orders: list[dict[str, Any]] = []

        async def place_and_reject(table: int) -> None:
            order = await store.place(table_id=str(table))
            await store.step(order, "rejected", reason="Too busy")
            orders.append(order)

        await several_at_once(place_and_reject, range(1, 41))
        terminal = await opened(owner, store.terminal_url)
        await expect(terminal.locator(".card")).to_have_count(0)
        await terminal.keyboard.press("h")
        rows = terminal.locator("#history [data-order]")
        await expect(rows).to_have_count(40)
        await shot(terminal, "terminal-history")
        await terminal.get_by_label("Find a past order").fill(orders[0]["id"][-4:])
        await expect(rows).to_have_count(1)
        await still(terminal)
        await rows.get_by_role("button", name="Take back to New").click()
        await expect(rows.locator(".badge")).to_have_text("New")
        await terminal.get_by_role("button", name="Close", exact=True).click()
        await expect(card(terminal, orders[0])).to_be_visible()
        assert (await store.events(orders[0]["id"]))[-1] == "order.recalled"


WAKE = """
    globalThis.locks = [];
    navigator.wakeLock.request = async (kind) => locks.push(kind);
    Element.prototype.requestFullscreen = async function () { locks.push(this.localName); };
"""


async def test_the_screen_stays_awake_and_can_be_filled(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        await owner.add_init_script(f"if (navigator.wakeLock) {{ {WAKE} }}")
        terminal = await opened(owner, store.terminal_url)
        assert await terminal.evaluate("locks") == ["screen"]
        # The browser takes the lock from a page that is hidden.
        await terminal.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert await terminal.evaluate("locks") == ["screen", "screen"]
        await terminal.locator("#open-kitchen").click()
        await terminal.get_by_role("button", name="Full screen").click()
        assert (await terminal.evaluate("locks"))[-1] == "html"
