"""The terminal from a phone to a wall, with one order and a hundred: all can be read and reached.

Its pictures are in build/screenshots: look at them after a change of the page.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

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

SCREENS: Final = {
    "360": (360, 740),
    "800": (800, 1280),
    "1280": (1280, 800),
    "3840": (3840, 2160),
}
DISHES: Final = (
    ("Kimchi stew 김치찌개", 9000),
    ("Bulgogi", 15000),
    ("비빔밥 Bibimbap", 9500),
    ("Scallion pancake", 11000),
    ("Sikhye", 4000),
)
BROKEN_WORDS: Final = """() => {
    const broken = [];
    const parts = ["h3", ".item-name", ".amount", ".total strong", ".age", ".step span"];
    const shown = document.querySelectorAll(parts.map((part) => `.card ${part}`).join());
    for (const part of shown) {
        const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            for (const { 0: word, index } of node.data.matchAll(/[^ ]+/g)) {
                const range = document.createRange();
                range.setStart(node, index);
                range.setEnd(node, index + word.length);
                const tops = [...range.getClientRects()].map(({ bottom }) => Math.round(bottom));
                if (Math.max(...tops) - Math.min(...tops) > 12) broken.push(word);
            }
        }
    }
    return broken;
}"""
CUT: Final = """() => {
    const parts = [".total strong", ".amount", ".step", ".age"];
    const shown = [...document.querySelectorAll(parts.map((part) => `.card ${part}`).join())];
    return shown.filter((e) => e.offsetParent !== null).filter((e) => {
        const [own, card] = [e, e.closest(".card")].map((one) => one.getBoundingClientRect());
        return own.right > card.right || (e.matches(".step") && e.scrollWidth > e.clientWidth + 1);
    }).map((e) => e.textContent);
}"""
WHOLE: Final = """(status) => {
    const cards = [...document.querySelectorAll(`.card[data-status="${status}"]`)];
    return cards.filter((e) => {
        const { top, bottom, left, right } = e.getBoundingClientRect();
        const frame = e.closest(".cards").getBoundingClientRect();
        const isAcross = left >= 0 && right <= innerWidth && right > left;
        return isAcross && top >= frame.top && bottom <= frame.bottom;
    }).length;
}"""


LINES: Final = """(element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
}"""
MISSING_OF_HINT: Final = """(input) => {
    const { fontWeight, fontSize, fontFamily, paddingLeft, paddingRight } = getComputedStyle(input);
    const context = document.createElement("canvas").getContext("2d");
    context.font = `${fontWeight} ${fontSize} ${fontFamily}`;
    const room = input.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    return context.measureText(input.placeholder).width - room;
}"""


def meal(number: int) -> dict[str, Any]:
    """The fields of an order, each another one."""
    dishes = [DISHES[(number + n) % len(DISHES)] for n in range(1 + number % 4)]
    items = [
        {"name": name, "quantity": 1 + (number + n) % 3, "unit_price": price}
        for n, (name, price) in enumerate(dishes)
    ]
    note = "덜 맵게 해 주세요" if number % 5 == 0 else ""
    return {"table_id": str(1 + number % 40), "items": items, "note": note}


async def fill(store: Store, count: int) -> None:
    """Place so many orders; of a hundred, some are on their way."""
    for number in range(count):
        order = await store.place(**meal(number))
        steps = () if count < 100 else (
            (), (), (), ("accepted",), ("accepted", "preparing"), ("accepted", "ready"),
        )[number % 6]  # fmt: skip
        for to in steps:
            order = await store.step(order, to)


async def expect_readable(page: Page) -> None:
    """No word and no amount is broken or cut, and nothing stands beside the screen."""
    assert await page.evaluate(BROKEN_WORDS) == []
    assert await page.evaluate(CUT) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) <= 0


# On how many cards one can read all, at each size, where there are as many.
LEAST_WHOLE: Final = {"360": 2, "800": 12, "1280": 10, "3840": 60}


@pytest.mark.parametrize("count", [1, 31, 100])
async def test_it_uses_the_screen_and_breaks_no_word(
    store: Store, browser: Browser, count: int
) -> None:
    await fill(store, count)
    async with device(browser, touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        await expect(terminal.locator(".card")).to_have_count(count)
        await terminal.locator("#sound-hint").click()
        await expect(terminal.locator("#sound-hint")).to_be_hidden()
        for name, (width, height) in SCREENS.items():
            await terminal.set_viewport_size({"width": width, "height": height})
            await still(terminal)
            await shot(terminal, f"terminal-{name}-{count}")
            await expect_readable(terminal)
            if count == 31:
                whole = await terminal.evaluate(WHOLE, "placed")
                assert whole >= min(count, LEAST_WHOLE[name]), (name, whole)


NARROWEST: Final = """async () => {
    for (let n = 0; n < 2; n += 1) await new Promise(requestAnimationFrame);
    const columns = [...document.querySelectorAll("#board .column")];
    const widths = columns.map((column) => column.getBoundingClientRect().width);
    return Math.min(...widths.filter((width) => width > 0));
}"""


async def test_the_columns_are_divided_anew_at_once_when_the_kitchen_s_panel_takes_their_room(
    store: Store, browser: Browser
) -> None:
    order = await store.place(**meal(1))
    async with device(browser, SCREENS["800"]) as owner:
        terminal = await opened(owner, store.terminal_url)
        await card(terminal, order).wait_for()
        await still(terminal)
        # While a finger is on the screen the board holds still; the panel squeezes it nevertheless.
        await terminal.mouse.move(400, 900)
        await terminal.mouse.down()
        await terminal.evaluate("document.getElementById('open-kitchen').click()")
        await expect(terminal.locator("#kitchen")).to_be_visible()
        assert await terminal.evaluate(NARROWEST) >= 236
        await terminal.mouse.up()


async def test_the_history_can_be_read_on_a_phone(store: Store, browser: Browser) -> None:
    await store.step(await store.place(**meal(3)), "accepted")
    async with device(browser, SCREENS["360"], touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("[data-action=history]").click()
        row = terminal.locator("#history li")
        await expect(row.get_by_role("button", name="Take back to New")).to_be_visible()
        for part in ("strong", "time"):
            assert await row.locator(part).evaluate(LINES) == 1, part


@pytest.mark.parametrize("width", [900, 961, 1024, 1100, 1280])
async def test_the_search_shows_its_whole_hint(store: Store, browser: Browser, width: int) -> None:
    async with device(browser, (width, 768)) as owner:
        terminal = await opened(owner, store.terminal_url)
        missing = await terminal.locator("#search").evaluate(MISSING_OF_HINT)
        assert missing <= 0
        assert await terminal.locator(".bar").evaluate("e => e.scrollWidth - e.clientWidth") <= 0


@pytest.mark.parametrize("size", SCREENS)
async def test_the_oldest_and_the_newest_are_one_press_away(
    store: Store, browser: Browser, size: str
) -> None:
    async def place(number: int) -> dict[str, Any]:
        return await store.place(**meal(number))

    oldest = await place(0)
    await several_at_once(place, range(1, 119))
    newest = await place(119)
    async with device(browser, SCREENS[size], touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        await expect(terminal.locator(".card")).to_have_count(120)
        new = terminal.locator('.column[data-column="new"]')
        await expect(new.locator(".below")).to_contain_text("more below")
        await new.get_by_role("button", name="To the newest").click()
        await expect(card(terminal, newest)).to_be_in_viewport(ratio=0.9)
        await expect(new.locator(".below")).to_be_hidden()
        await expect(new.locator(".above")).to_contain_text("more above")
        await new.get_by_role("button", name="To the oldest").click()
        await expect(card(terminal, oldest)).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("size", SCREENS)
async def test_a_long_order_is_folded_and_accept_is_in_sight(
    store: Store, browser: Browser, size: str
) -> None:
    items = [{"name": f"Dish number {n}", "quantity": 1, "unit_price": 1000} for n in range(20)]
    note = "Please call before you come up, the bell is broken and the dog is asleep. " * 6
    order = await store.place(items=items, note=note)
    async with device(browser, SCREENS[size], touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        shown = card(terminal, order)
        await expect(shown.locator('[data-to="accepted"]')).to_be_in_viewport(ratio=1)
        await expect(shown.get_by_role("button", name="15 more items")).to_be_visible()
        await shot(terminal, f"terminal-long-{size}")
        await shown.get_by_role("button", name="15 more items").click()
        await expect(shown).to_contain_text("Dish number 19")
        assert await shown.locator(".note").evaluate("e => e.scrollHeight - e.clientHeight") <= 1
