"""Pages with a newer Core: they show an unknown status as sent, and none is blank."""

from __future__ import annotations

import re

from playwright.async_api import Browser, Page, Route, expect

from core_api.pages.files import FOLDERS
from tests.browser.restaurant import PAGES, SIZES, Store, card, device, lit

pytestmark = PAGES


async def newer(page: Page) -> None:
    """Every accepted order is "on its way" in what Core answers."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        text = (await response.text()).replace('"status":"accepted"', '"status":"on its way"')
        await route.fulfill(response=response, body=text)

    await page.route("**/v1/sync?*", answer)
    # The stream cannot be rewritten; without it the page polls.
    await page.route("**/v1/stream?*", lambda route: route.abort())


async def test_the_terminal_shows_an_order_in_a_status_that_it_does_not_know(
    store: Store, browser: Browser
) -> None:
    order = await store.step(await store.place(), "accepted")
    async with device(browser) as owner:
        terminal = await owner.new_page()
        await newer(terminal)
        await terminal.goto(store.terminal_url)
        await lit(terminal, "polling")
        shown = card(terminal, order)
        await expect(shown.locator(".badge")).to_have_text("on its way")
        assert await shown.evaluate("e => e.closest('.column').dataset.column") == "progress"
        await expect(shown.locator(".steps")).to_have_count(0)
        label = await shown.get_attribute("aria-label")
        assert label is not None
        assert "on its way" in label
        # Everything else goes on.
        other = await store.place()
        await card(terminal, other).locator('[data-to="rejected"]').wait_for()


async def test_the_table_s_page_shows_an_order_in_a_status_that_it_does_not_know(
    store: Store, browser: Browser
) -> None:
    await store.step(await store.place(), "accepted")
    async with device(browser, SIZES["phone"]) as guest:
        table = await guest.new_page()
        await newer(table)
        await table.goto(store.table_url("5"))
        await lit(table, "polling")
        row = table.locator("#orders .order")
        await expect(row.locator(".badge")).to_have_text("on its way")
        await expect(row.locator(".line")).to_have_text("It is now: on its way")


async def previous(page: Page, name: str) -> None:
    """The page comes from a Core of the previous release; all that it names, from this one."""
    html = (FOLDERS[""] / name / "index.html").read_text()
    script = f'<script type="module" src="/static/={"0" * 20}/{name}/main.all.js"></script>'
    html = re.sub(r"<script .*</script>", "", html).replace("</head>", f"{script}</head>")

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html; charset=utf-8", body=html)

    await page.route(re.compile(rf"/{name}(#.*)?$"), answer)
    # Chromium does not let a page that a test has made reach another port. Without it, it polls.
    await page.route("**/v1/stream?*", lambda route: route.abort())


async def test_a_terminal_from_a_core_of_the_previous_release_works(
    store: Store, browser: Browser
) -> None:
    order = await store.place()
    async with device(browser) as owner:
        terminal = await owner.new_page()
        await previous(terminal, "terminal")
        await terminal.goto(store.terminal_url)
        await card(terminal, order).locator('[data-to="rejected"]').wait_for()


async def test_a_table_s_page_from_a_core_of_the_previous_release_works(
    store: Store, browser: Browser
) -> None:
    await store.place()
    async with device(browser, SIZES["phone"]) as guest:
        table = await guest.new_page()
        await previous(table, "table")
        await table.goto(store.table_url("5"))
        await table.locator("#orders .order").wait_for()
