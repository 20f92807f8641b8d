"""The terminal's accessibility: axe-core, keyboard, zoom, motion, colours."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.accessibility import SCHEMES, SIDEWAYS, shots, violations_in
from tests.browser.restaurant import PAGES, Store, card, device, lit, opened, shot, still

pytestmark = PAGES

ENDS_SOON_S = 300
CHANGED_BY_ANIMATIONS: Final = """() => {
    const frames = document.getAnimations().flatMap(({ effect }) => effect.getKeyframes());
    const how = ["offset", "computedOffset", "easing", "composite"];
    return [...new Set(frames.flatMap(Object.keys))].filter((name) => !how.includes(name));
}"""
MEAL = [{"name": "비빔밥 Bibimbap", "quantity": 2, "unit_price": 9500, "note": "no egg"}]


async def one_of_each(store: Store) -> list[dict[str, Any]]:
    """An order in every status; the last two are being made."""
    orders = []
    for steps in (
        ("accepted", "preparing", "ready", "served", "paid"),
        ("rejected",),
        ("accepted", "preparing", "ready"),
        (),
        ("accepted",),
        ("accepted", "preparing"),
    ):
        order = await store.place(items=MEAL, note="양파는 빼 주세요")
        for step in steps:
            reason = {"reason": "Too busy"} if step == "rejected" else {}
            order = await store.step(order, step, **reason)
        orders.append(order)
    return orders


async def rush(store: Store, page: Page) -> None:
    """All that a board shows at once: a change, a cancellation, a pause, a sign-in that ends."""
    *_, changed, cancelled = await one_of_each(store)
    await expect(page.locator(".card")).to_have_count(6)
    await store.change(changed, items=[*MEAL, MEAL[0] | {"name": "Tea"}], note="Allergy!")
    await store.step(cancelled, "cancelled", reason="Gone")
    await expect(page.locator('[data-marks="changed"]')).to_have_count(1)
    await expect(page.locator('[data-marks="cancelled"]')).to_have_count(1)
    await store.says("taking-orders", {"value": False})
    await expect(page.locator("#paused")).to_be_visible()
    await expect(page.locator("#session")).to_be_visible()


@pytest.mark.parametrize("locale", SCHEMES)
async def test_axe_finds_nothing_wrong(store: Store, browser: Browser, locale: str) -> None:
    schemes = SCHEMES[locale]
    token = store.site.token("owner", store.id, lifetime_s=ENDS_SOON_S)
    async with device(browser, (1280, 800), locale) as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{store.site.stack.core_url}/terminal")
        found = {"sign-in": await violations_in(terminal, schemes)}
        await terminal.goto(f"{store.site.stack.core_url}/terminal#token={token}")
        await lit(terminal, "live")
        found["empty"] = await violations_in(terminal, schemes)
        await rush(store, terminal)
        found["rush"] = await violations_in(terminal, schemes)
        await still(terminal)
        await terminal.locator('[data-to="accepted"]').first.click()
        await expect(terminal.locator(".undo")).to_have_count(1)
        await terminal.locator("#open-kitchen").click()
        await still(terminal)
        await terminal.locator("#station-0").click()
        await expect(terminal.locator("#station")).to_be_visible()
        found["kitchen"] = await violations_in(terminal, schemes)
        await shots(terminal, f"terminal-axe-{locale}", schemes)
        for name, key, dialog in (("help", "?", "#help"), ("history", "h", "#history")):
            await terminal.locator("#open-kitchen").focus()
            await terminal.keyboard.press(key)
            await expect(terminal.locator(dialog)).to_be_visible()
            found[name] = await violations_in(terminal, schemes)
            await terminal.keyboard.press("Escape")
        await terminal.locator("#session button").click()
        found["renewal"] = await violations_in(terminal, schemes)
        await terminal.keyboard.press("Escape")
        await still(terminal)
        await terminal.locator('[data-to="cancelled"]').first.click()
        await expect(terminal.locator("#reason")).to_be_visible()
        found["reason"] = await violations_in(terminal, schemes)
        await terminal.keyboard.press("Escape")
        await owner.set_offline(True)
        await lit(terminal, "offline")
        await expect(terminal.locator("#fault")).to_be_visible()
        found["offline"] = await violations_in(terminal, schemes)
        await shots(terminal, f"terminal-axe-offline-{locale}", schemes)
    assert found == {state: {"light": [], "dark": []} for state in found}


async def test_twice_as_large_nothing_goes_sideways_and_every_step_can_be_reached(
    store: Store, browser: Browser
) -> None:
    # A window of 1280 × 800 at 200 % has so many pixels of the page's.
    async with device(browser, (640, 400)) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place(items=MEAL)
        await terminal.locator('[data-to="accepted"]').scroll_into_view_if_needed()
        assert await terminal.evaluate(SIDEWAYS) == 0
        await shot(terminal, "terminal-zoomed")
        await still(terminal)
        await terminal.locator('[data-to="accepted"]').click()
        await terminal.locator('.tab[data-column="progress"]').click()
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await terminal.locator("#open-kitchen").click()
        assert await terminal.evaluate(SIDEWAYS) == 0


async def test_who_wants_no_motion_sees_none(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.emulate_media(reduced_motion="reduce")
        order = await store.place()
        await expect(card(terminal, order)).to_be_visible()
        assert await terminal.evaluate("document.getAnimations().length") == 0


async def test_a_new_order_flashes_without_being_painted_anew(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        await expect(card(terminal, await store.place())).to_be_visible()
        # Other properties would be painted 60 times a second, on a tablet that does so all day.
        assert await terminal.evaluate(CHANGED_BY_ANIMATIONS) == ["opacity"]


async def test_in_forced_colours_every_state_has_a_shape(store: Store, browser: Browser) -> None:
    async with device(browser, (1280, 800)) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.emulate_media(forced_colors="active")
        *_, changed, _ = await one_of_each(store)
        await store.change(changed, note="Allergy!")
        marked = terminal.locator('[data-marks="changed"]')
        await expect(marked).to_be_visible()
        await shot(terminal, "terminal-forced-colours")
        assert await marked.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"
        for shape in (".lamp-dot", ".step.main", ".count", ".age"):
            width = await terminal.locator(shape).first.evaluate(
                "(e) => parseFloat(getComputedStyle(e).borderTopWidth)"
            )
            assert width > 0, shape


async def test_a_dialog_gives_the_focus_back_where_it_was(store: Store, browser: Browser) -> None:
    async with device(browser, (1280, 800)) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await terminal.keyboard.press("n")
        await expect(card(terminal, order)).to_be_focused()
        for key, dialog in (("h", "#history"), ("?", "#help"), ("2", "#reason")):
            await still(terminal)
            await terminal.keyboard.press(key)
            await expect(terminal.locator(dialog)).to_be_visible()
            await terminal.keyboard.press("Escape")
            await expect(terminal.locator(dialog)).to_be_hidden()
            await expect(card(terminal, order)).to_be_focused()
        await still(terminal)
        await terminal.keyboard.press("1")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
