"""The example of each binding, built as a reader would, with the real system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.front_end import BINDINGS, EXAMPLES, build
from tests.browser.module_page import served
from tests.browser.restaurant import BACK_MS, PAGES, Site, Store, device

pytestmark = PAGES


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    built = build(EXAMPLES / "vite.config.js", tmp_path_factory.mktemp("examples"))
    with served({"/pages/": built}) as address:
        yield f"{address}/pages"


def address(home: str, name: str, store: Store) -> str:
    told = f"core={store.site.stack.core_url}&store={store.id}&token={store.owner}"
    return f"{home}/{name}/index.html#{told}"


@pytest_asyncio.fixture(loop_scope="package")
async def boards(browser: Browser, home: str, store: Store) -> AsyncIterator[dict[str, Page]]:
    """The four boards of a store, each on a device of its own, live."""
    async with AsyncExitStack() as stack:
        pages = {}
        for name in BINDINGS:
            context = await stack.enter_async_context(device(browser))
            pages[name] = await context.new_page()
            await pages[name].goto(address(home, name, store))
        for page in pages.values():
            await expect(page.locator("#mode")).to_have_text("live")
        yield pages


async def shows(page: Page, orders: list[str], sold_out: list[str], pending: int) -> None:
    """Return once the board shows these."""
    await expect(page.locator("#orders li span")).to_have_text(orders)
    await expect(page.locator("#sold-out li span")).to_have_text(sold_out)
    await expect(page.locator("#pending")).to_have_text(str(pending))


async def test_each_board_works_through_a_disconnect_and_none_loses_anything(
    mortal_site: Site, store: Store, boards: dict[str, Page]
) -> None:
    placed = [await store.place(table_id=str(table)) for table in range(1, 5)]
    for page in boards.values():
        await shows(page, ["1: placed", "2: placed", "3: placed", "4: placed"], [], 0)

    mortal_site.stack.events.kill()
    mortal_site.stack.core.kill()
    for number, (name, page) in enumerate(boards.items()):
        await expect(page.locator("#mode")).to_have_text("offline")
        await page.locator("#orders li").nth(number).get_by_text("Accept").click()
        await page.fill("[name=dish]", name)
        await page.get_by_role("button", name="Sold out").click()
        own = [f"{n + 1}: {'accepted' if n == number else 'placed'}" for n in range(4)]
        await expect(page.locator("#orders li span")).to_contain_text(own)
        await expect(page.locator("#sold-out li span")).to_have_text([name])
        await expect(page.locator("#pending")).to_have_text("1")

    await mortal_site.mend()
    for page in boards.values():
        await expect(page.locator("#mode")).to_have_text("live", timeout=BACK_MS)
        await expect(page.locator("#sold-out li")).to_have_count(4)
        names = await page.locator("#sold-out li span").all_text_contents()
        assert sorted(names) == sorted(BINDINGS)
        await shows(page, [f"{n}: accepted" for n in range(1, 5)], names, 0)
    assert {(await store.read(order["id"]))["status"] for order in placed} == {"accepted"}


@pytest.mark.parametrize("name", BINDINGS)
async def test_what_is_chosen_in_one_tab_is_chosen_in_the_other(
    browser: Browser, home: str, store: Store, name: str
) -> None:
    async with device(browser) as context:
        tabs = [await context.new_page() for _ in range(2)]
        for tab in tabs:
            await tab.goto(address(home, name, store))
            await expect(tab.locator("#mode")).to_have_text("live")
        await tabs[0].locator("#quiet").click()
        for tab in tabs:
            await expect(tab.locator("#quiet")).to_be_checked()
