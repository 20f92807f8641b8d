"""Changes to orders in preparation are loud, and the alarm does not stop by itself."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.restaurant import (
    PAGES,
    Site,
    Store,
    card,
    device,
    lit,
    opened,
    press,
    shot,
    still,
)

pytestmark = PAGES

BULGOGI: Final = {"name": "Bulgogi", "quantity": 2, "unit_price": 15000}
RICE: Final = {"name": "Rice", "quantity": 1, "unit_price": 1000}
_LISTEN: Final = """
    window.heard = [];
    const Tone = OscillatorNode;
    globalThis.OscillatorNode = class extends Tone {
        constructor(context, options) {
            super(context, options);
            window.heard.push(`${options.type} ${Math.round(options.frequency)}`);
        }
    };
"""
# The first note of each kind's sound.
SOUNDS: Final = {
    "new": "triangle 880",
    "changed": "square 988",
    "cancelled": "sawtooth 784",
    "offline": "sine 220",
    "session": "sine 1319",
}


async def listening(context: BrowserContext, url: str) -> Page:
    """A terminal whose sound is allowed, and whose tones are noted."""
    await context.add_init_script(_LISTEN)
    page = await opened(context, url)
    await page.locator("#sound-hint").click()
    await expect(page.locator("#sound")).to_have_text("Sound on")
    await page.evaluate("window.heard = []")
    return page


async def hears(page: Page, kind: str, times: int = 1) -> None:
    """Return once that kind has sounded so often."""
    await page.wait_for_function(
        "([note, times]) => window.heard.filter((one) => one === note).length >= times",
        arg=[SOUNDS[kind], times],
        timeout=40_000,
    )


async def being_made(store: Store, **fields: Any) -> dict[str, Any]:
    """An order that the kitchen works on."""
    order = await store.place(**({"items": [BULGOGI, RICE]} | fields))
    return await store.step(await store.step(order, "accepted"), "preparing")


async def test_a_change_is_marked_line_by_line_and_must_be_acknowledged(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        order = await being_made(store)
        shown = card(terminal, order)
        await expect(shown).to_have_attribute("data-status", "preparing")
        changed = BULGOGI | {"quantity": 5, "note": "PEANUT ALLERGY"}
        await store.change(order, items=[changed, {"name": "Tea", "quantity": 1, "unit_price": 1}])
        await expect(shown).to_have_attribute("data-marks", "changed")
        line = shown.locator('[data-line="changed"]')
        await expect(line).to_contain_text("PEANUT ALLERGY")
        await expect(line.locator("s")).to_have_text("2× Bulgogi")
        await expect(shown.locator('[data-line="added"]')).to_contain_text("Tea")
        await expect(shown.locator('[data-line="removed"] s')).to_have_text("Rice")
        weight = "e => Number(getComputedStyle(e).fontWeight)"
        assert await line.locator(".item-name").evaluate(weight) >= 700
        await expect(terminal.locator("#shouter")).to_contain_text("was changed")
        await hears(terminal, "changed", 2)
        await shot(terminal, "terminal-changed")
        # Nothing else can be done with it before somebody has seen it.
        await expect(shown.locator(".step")).to_have_count(1)
        await still(terminal)
        await shown.get_by_role("button", name="I have seen it").click()
        await expect(shown).to_have_attribute("data-marks", "")
        await expect(shown.locator('[data-to="ready"]')).to_be_visible()


async def test_a_change_is_marked_after_a_reload_too(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await being_made(store)
        await expect(card(terminal, order)).to_have_attribute("data-status", "preparing")
        await store.change(order, note="no egg")
        await expect(card(terminal, order)).to_have_attribute("data-marks", "changed")
        await terminal.reload()
        await lit(terminal, "live")
        await expect(card(terminal, order)).to_have_attribute("data-marks", "changed")


async def test_a_cancellation_stays_where_it_is_made_until_somebody_has_seen_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        order = await being_made(store)
        await expect(card(terminal, order)).to_have_attribute("data-status", "preparing")
        await store.step(order, "cancelled", reason="Wrong table")
        shown = terminal.locator('.column[data-column="progress"] .card')
        await expect(shown).to_have_attribute("data-marks", "cancelled")
        await expect(shown).to_contain_text("stop making it")
        await expect(terminal.locator("#shouter")).to_contain_text("was cancelled")
        await hears(terminal, "cancelled", 2)
        await shot(terminal, "terminal-cancelled")
        await still(terminal)
        await shown.get_by_role("button", name="Stopped it").click()
        done = terminal.locator('.column[data-column="done"] .card')
        await expect(done).to_have_attribute("data-status", "cancelled")
        await terminal.evaluate("window.heard = []")
        await store.place()
        await hears(terminal, "new")
        assert SOUNDS["cancelled"] not in await terminal.evaluate("window.heard")


async def test_who_cancels_at_this_terminal_is_not_asked(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await being_made(store)
        await expect(card(terminal, order)).to_have_attribute("data-status", "preparing")
        await press(terminal, order, "cancelled")
        await terminal.locator("#reason").get_by_role("button", name="Cancel order").click()
        done = terminal.locator('.column[data-column="done"] .card')
        await expect(done).to_have_attribute("data-marks", "")


async def test_a_new_order_rings_until_it_is_touched_and_many_ring_once(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        orders = [await store.place() for _ in range(8)]
        await expect(terminal.locator(".card")).to_have_count(8)
        await hears(terminal, "new", 3)
        rung = await terminal.evaluate("window.heard.length / 3")
        assert rung < len(orders), "not once for each"
        for order in orders:
            await card(terminal, order).locator(".card-head .reach").click()
        await terminal.evaluate("window.heard = []")
        later = await store.place(table_id="9")
        await card(terminal, later).wait_for()
        await hears(terminal, "new")


async def test_it_is_quiet_for_a_minute_in_all_tabs(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        other = await opened(owner, store.terminal_url)
        await other.locator("#hush").click()
        await expect(terminal.locator("#hush")).to_contain_text("Quiet 5")
        await terminal.evaluate("window.heard = []")
        order = await store.place()
        await card(terminal, order).wait_for()
        await expect(terminal.locator("#hush")).to_contain_text("Quiet 4")
        assert await terminal.evaluate("window.heard") == []
        await terminal.locator("#hush").click()
        await hears(terminal, "new")


async def test_it_sounds_when_the_terminal_goes_offline(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        await owner.set_offline(True)
        await hears(terminal, "offline")
        await owner.set_offline(False)
        await lit(terminal, "live")


@pytest.mark.parametrize("volume", ["Low", "High"])
async def test_the_volume_is_chosen_and_kept(store: Store, browser: Browser, volume: str) -> None:
    async with device(browser) as owner:
        terminal = await listening(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        choice = terminal.locator("#kitchen").get_by_role("button", name=volume, exact=True)
        await choice.click()
        await hears(terminal, "new")
        await terminal.reload()
        await lit(terminal, "live")
        await terminal.locator("#open-kitchen").click()
        await expect(choice).to_have_attribute("aria-pressed", "true")


async def test_it_sounds_when_the_sign_in_is_about_to_end(
    site: Site, store: Store, browser: Browser
) -> None:
    ending = site.token("owner", store.id, lifetime_s=300)
    async with device(browser) as owner:
        await owner.add_init_script(_LISTEN)
        terminal = await opened(owner, f"{site.stack.core_url}/terminal#token={ending}")
        await terminal.locator("#sound-hint").click()
        await hears(terminal, "session")
