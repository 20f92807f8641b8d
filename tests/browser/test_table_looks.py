"""The looks of the guest's page: pictures of it in use, and checks with axe-core."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.accessibility import SCHEMES, SIDEWAYS, shots, violations_in
from tests.browser.restaurant import PAGES, Store, device, opened, shot

pytestmark = PAGES
WIDTHS = {360: (360, 740), 800: (800, 1280), 1280: (1280, 800)}


async def six_orders(store: Store) -> None:
    """One of each kind that a guest may see."""
    for steps in (
        ("accepted", "preparing", "ready", "served", "paid"),
        ("rejected",),
        ("accepted", "preparing", "ready"),
        ("accepted", "preparing"),
        ("accepted",),
        (),
    ):
        order = await store.place(note="양파는 빼 주세요" if steps else "")
        for step in steps:
            reason = {"reason": "Too busy"} if step == "rejected" else {}
            order = await store.step(order, step, **reason)


async def full_cart(store: Store, page: Page) -> None:
    """A cart that three people fill, with something in it that has sold out."""
    lines = {
        f"{phone}.{dish}.0": {
            "name": name,
            "quantity": n,
            "unit_price": price,
            "by": by,
            "note": note,
        }
        for phone, by, dish, name, price, n, note in (
            (
                "aaaaaaaa",
                "Kim",
                "kimchi-stew",
                "김치찌개 Kimchi stew",
                9000,
                2,
                "not spicy, please",
            ),
            ("aaaaaaaa", "Kim", "rice", "공기밥 Rice", 1000, 2, ""),
            ("bbbbbbbb", "Lee", "bibimbap", "비빔밥 Bibimbap", 9500, 1, ""),
            ("bbbbbbbb", "Lee", "bulgogi", "불고기 Bulgogi", 15000, 12, "well done"),
            ("cccccccc", "Aleksandra", "japchae", "잡채 Japchae", 12000, 1, ""),
            ("cccccccc", "Aleksandra", "pancake", "파전 Scallion pancake", 11000, 1, ""),
            ("cccccccc", "Aleksandra", "sikhye", "식혜 Sikhye", 4000, 20, ""),
        )
    }
    await store.write(f"party:{store.id}/5", "cart", {"merge": {"lines": lines}})
    await store.says("sold-out", {"items": {"pancake": {"name": "파전 Scallion pancake"}}})
    await store.says("waiting-time", {"value": 25})
    await page.locator("#cart-open").click()
    await expect(page.locator("#cart-lines li")).to_have_count(7)


async def as_it_is_used(store: Store, page: Page, name: str) -> None:
    """With no order, one, six, a full cart: a picture of each, and nothing that goes sideways."""
    await expect(page.locator(".dish")).to_have_count(8)
    await shot(page, f"table-{name}-none")
    assert await page.evaluate(SIDEWAYS) == 0
    await store.place()
    await expect(page.locator("#orders .order")).to_have_count(1)
    await shot(page, f"table-{name}-one")
    await six_orders(store)
    await expect(page.locator("#orders .order")).to_have_count(7)
    await expect(page.locator("#orders .order").first).to_have_attribute("data-status", "placed")
    await shot(page, f"table-{name}-six")
    assert await page.evaluate(SIDEWAYS) == 0
    await full_cart(store, page)
    await shot(page, f"table-{name}-cart")
    assert await page.evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("width", WIDTHS)
async def test_it_fits_with_no_order_one_six_and_a_full_cart(
    store: Store, browser: Browser, width: int
) -> None:
    async with device(browser, WIDTHS[width]) as guest:
        table = await opened(guest, store.table_url("5"))
        await as_it_is_used(store, table, str(width))


async def test_on_a_wall_it_is_large_and_uses_the_screen(store: Store, browser: Browser) -> None:
    async with device(browser, (3840, 2160)) as guest:
        table = await opened(guest, store.table_url("5"))
        await as_it_is_used(store, table, "3840")
        page = await table.locator(".page").bounding_box()
        bar = await table.locator("#order").bounding_box()
        dishes = [await table.locator(".dish").nth(n).bounding_box() for n in range(2)]
        name = await table.locator(".dish strong").first.bounding_box()
        sheet = await table.locator("#cart-sheet").bounding_box()
        assert page
        assert bar
        assert name
        assert sheet
        assert page["width"] >= 3840 * 0.7
        assert name["height"] >= 40
        assert len({box["y"] for box in dishes if box}) == 1, "dishes stand side by side"
        assert page["x"] <= bar["x"]
        assert bar["x"] + bar["width"] <= page["x"] + page["width"]
        assert sheet["height"] <= 2160 * 0.65


@pytest.mark.parametrize("locale", SCHEMES)
async def test_axe_finds_nothing_wrong(store: Store, browser: Browser, locale: str) -> None:
    schemes = SCHEMES[locale]
    async with device(browser, WIDTHS[360], locale) as guest:
        table = await opened(guest, store.table_url("5"))
        found = {"empty": await violations_in(table, schemes)}
        await six_orders(store)
        await expect(table.locator("#orders .order")).to_have_count(6)
        await table.locator("#orders-fold").click()
        await table.locator("#bill-title").click()
        found["orders"] = await violations_in(table, schemes)
        await store.says("taking-orders", {"value": False, "reason": "The fryer is broken"})
        await full_cart(store, table)
        await expect(table.locator("#closed")).to_be_visible()
        found["cart"] = await violations_in(table, schemes)
        await shots(table, f"table-axe-{locale}", schemes)
        await table.locator(".note-button").first.click()
        found["dialog"] = await violations_in(table, schemes)
        await table.keyboard.press("Escape")
        await table.locator("#cart-close").click()
        await table.locator("#call").click()
        await table.locator(".ask button").first.click()
        await expect(table.locator("#bell-state")).to_be_visible()
        found["called"] = await violations_in(table, schemes)
    assert found == {state: {"light": [], "dark": []} for state in found}


async def test_axe_finds_nothing_wrong_where_there_is_no_token(
    store: Store, browser: Browser
) -> None:
    async with device(browser, WIDTHS[360]) as guest:
        page = await guest.new_page()
        await page.goto(f"{store.site.stack.core_url}/table")
        assert await violations_in(page, ("light", "dark")) == {"light": [], "dark": []}


async def test_twice_as_large_it_fits_and_an_order_can_be_placed_by_keyboard(
    store: Store, browser: Browser
) -> None:
    # A window of 1280 × 800 at 200 % has so many pixels of the page's.
    async with device(browser, (640, 400)) as guest:
        table = await opened(guest, store.table_url("5"))
        await table.locator(".dish").first.wait_for()
        assert await table.evaluate(SIDEWAYS) == 0
        await table.get_by_role("button", name="One more").first.focus()
        await table.keyboard.press("Enter")
        await expect(table.locator("#order")).to_be_enabled()
        await table.locator("#order").focus()
        await table.keyboard.press("Enter")
        await expect(table.locator("#orders .order")).to_have_attribute("data-status", "placed")
        assert await table.evaluate(SIDEWAYS) == 0


async def test_who_wants_no_motion_sees_none(store: Store, browser: Browser) -> None:
    async with device(browser, WIDTHS[360]) as guest:
        table = await opened(guest, store.table_url("5"))
        await table.emulate_media(reduced_motion="reduce")
        await six_orders(store)
        await expect(table.locator("#orders .order")).to_have_count(6)
        assert await table.evaluate("document.getAnimations().length") == 0


async def test_in_forced_colours_how_far_an_order_is_can_be_seen(
    store: Store, browser: Browser
) -> None:
    async with device(browser, WIDTHS[360]) as guest:
        table = await opened(guest, store.table_url("5"))
        await table.emulate_media(forced_colors="active")
        await store.step(await store.place(), "accepted")
        stages = table.locator(".stages span")
        await expect(stages.and_(table.locator(".done"))).to_have_count(2)
        await shot(table, "table-forced-colours")
        grounds = await stages.evaluate_all(
            "(all) => all.map((e) => getComputedStyle(e).backgroundColor)"
        )
        assert grounds[0] == grounds[1] != grounds[2]
        for shape in (".stages span:last-child", ".lamp-dot", ".order"):
            width = await table.locator(shape).first.evaluate(
                "(e) => parseFloat(getComputedStyle(e).borderTopWidth)"
            )
            assert width > 0, shape
