"""The owner's terminal in a real browser, with the whole system."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Dialog, Page, expect

from tests.browser.restaurant import (
    PAGES,
    SIZES,
    Site,
    Store,
    card,
    device,
    has_kept,
    lit,
    opened,
    press,
    shot,
)

pytestmark = PAGES

HOSTILE = (
    '<img src=x onerror="document.hacked=1"><script>document.hacked=1</script>'
    "\u202egnidaer\u202c javascript:alert(1) {{7*7}} '\"`&amp;"
)


async def expect_status(page: Page, order: dict[str, Any], status: str) -> None:
    """The card stands so, and Core has said so."""
    await expect(card(page, order)).to_have_attribute("data-status", status)
    await expect(card(page, order).locator(".sending-note")).to_have_count(0)


async def test_orders_appear_by_themselves_without_a_question_to_core(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        asked: list[str] = []
        terminal.on("request", lambda r: asked.append(r.url) if "/v1/sync" in r.url else None)
        for _ in range(5):
            order = await store.place()
            await card(terminal, order).wait_for()
        # A stream may end meanwhile, and a sync follows; it is not one for each order.
        assert len(asked) < 3, asked
        await lit(terminal, "live")


async def test_an_order_is_shown_with_all_that_the_kitchen_needs(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place(
            table_id="12",
            items=[
                {"name": "비빔밥 Bibimbap", "quantity": 2, "unit_price": 9500, "note": "no egg"},
                {"name": "식혜 Sikhye", "quantity": 1, "unit_price": 4000},
            ],
            note="창가 자리입니다",
            guest={"name": "Kim Minji"},
        )
        for part in ("Table 12", "Kim Minji", "2×", "비빔밥 Bibimbap", "no egg", "₩19,000",
                     "창가 자리입니다", "₩23,000", "now"):  # fmt: skip
            await expect(card(terminal, order)).to_contain_text(part)
        await expect(card(terminal, order)).not_to_contain_text("null")
        assert await card(terminal, order).evaluate("e => e.closest('.column').dataset.column") == (
            "new"
        )


async def test_an_order_goes_through_the_columns_by_clicks(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        for to, column in (
            ("accepted", "progress"),
            ("preparing", "progress"),
            ("ready", "ready"),
            ("served", "done"),
            ("paid", "done"),
        ):
            await press(terminal, order, to)
            await expect_status(terminal, order, to)
            where = terminal.locator(f'.column[data-column="{column}"] .card')
            await expect(where).to_have_count(1)
        assert (await store.read(order["id"]))["status"] == "paid"


async def test_an_order_goes_through_the_columns_by_keys(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        first = await store.place()
        second = await store.place()
        await expect(terminal.locator(".card")).to_have_count(2)
        await terminal.keyboard.press("n")
        await expect(card(terminal, first)).to_be_focused()
        await terminal.keyboard.press("ArrowDown")
        await expect(card(terminal, second)).to_be_focused()
        await terminal.keyboard.press("1")
        await expect_status(terminal, second, "accepted")
        # Whoever has handled an order goes on with the next one of its column.
        await expect(card(terminal, first)).to_be_focused()
        await terminal.keyboard.press("Shift+Slash")
        await expect(terminal.locator("#help")).to_be_visible()
        await terminal.keyboard.press("Escape")
        await expect(terminal.locator("#help")).to_be_hidden()


async def test_what_one_terminal_accepts_shows_on_the_other(store: Store, browser: Browser) -> None:
    async with device(browser) as counter, device(browser) as kitchen:
        one = await opened(counter, store.terminal_url)
        other = await opened(kitchen, store.terminal_url)
        order = await store.place()
        await card(other, order).wait_for()
        await press(one, order, "accepted")
        await expect_status(other, order, "accepted")


async def test_a_step_is_taken_back_with_the_reason_when_another_terminal_was_first(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await owner.set_offline(True)
        await lit(terminal, "offline")  # its strip moves the cards
        await press(terminal, order, "accepted")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(1)
        await store.step(order, "rejected", reason="Sold out")
        await owner.set_offline(False)
        await expect_status(terminal, order, "rejected")
        toast = terminal.locator(".toast")
        await expect(toast).to_contain_text("Another terminal was first. It is Rejected now.")
        assert (await store.read(order["id"]))["status"] == "rejected"


async def test_an_order_is_rejected_with_a_reason(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await press(terminal, order, "rejected")
        await terminal.get_by_role("radio", name="Sold out").check()
        await terminal.locator("#reason").get_by_role("button", name="Reject order").click()
        await expect_status(terminal, order, "rejected")
        stored = await store.read(order["id"])
        assert (stored["status"], stored["reason"]) == ("rejected", "Sold out")
        kept = await store.place()
        await press(terminal, kept, "rejected")
        await terminal.locator("#reason").get_by_role("button", name="Keep order").click()
        await expect_status(terminal, kept, "placed")


async def test_hostile_text_is_shown_as_text_and_nothing_of_it_runs(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        items = [{"name": HOSTILE[:190], "quantity": 1, "unit_price": 1, "note": HOSTILE}]
        order = await store.place(note=HOSTILE, items=items, guest={"name": HOSTILE[:190]})
        await expect(card(terminal, order).locator(".note")).to_have_text(HOSTILE)
        assert await card(terminal, order).locator("img, script").count() == 0
        assert await terminal.evaluate("document.hacked") is None
        # Text that turns its direction keeps to its own line.
        assert await card(terminal, order).locator(".note").get_attribute("dir") == "auto"


async def test_a_reload_goes_on_where_the_page_was(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        orders = [await store.place() for _ in range(3)]
        await press(terminal, orders[0], "accepted")
        await expect_status(terminal, orders[0], "accepted")
        await expect(terminal.locator(".card")).to_have_count(3)
        await has_kept(terminal, store, 4)
        async with terminal.expect_request(lambda r: "/v1/sync?" in r.url) as asked:
            await terminal.reload()
        assert f"lastEventId=store%3A{store.id}%404" in (await asked.value).url
        await lit(terminal, "live")
        await expect(terminal.locator(".card")).to_have_count(3)
        await expect_status(terminal, orders[0], "accepted")


async def test_two_tabs_share_one_connection_and_one_outlives_the_other(
    site: Site, store: Store, browser: Browser
) -> None:
    await site.streams_are(0)  # those of tests before
    async with device(browser) as owner:
        first = await opened(owner, store.terminal_url)
        second = await opened(owner, store.terminal_url)
        order = await store.place()
        for tab in (first, second):
            await card(tab, order).wait_for()
        await site.streams_are(1)
        await press(second, order, "accepted")
        await expect_status(first, order, "accepted")
        await first.close()
        await lit(second, "live")
        later = await store.place()
        await card(second, later).wait_for()
        await site.streams_are(1)


async def test_a_blocked_sound_is_said_and_a_tap_allows_it(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        hint = terminal.locator("#sound-hint")
        await expect(hint).to_contain_text("Your browser is blocking sound")
        await hint.click()
        await expect(hint).to_be_hidden()
        await expect(terminal.locator("#sound")).to_have_text("Sound on")


async def test_the_first_press_counts_though_it_takes_the_hint_about_sound_away(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        box = await card(terminal, order).locator('[data-to="accepted"]').bounding_box()
        assert box is not None
        await terminal.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 4)
        await terminal.mouse.down()
        await terminal.wait_for_timeout(300)  # a slow finger
        await terminal.mouse.up()
        await expect_status(terminal, order, "accepted")
        await expect(terminal.locator("#sound-hint")).to_be_hidden()


async def test_new_orders_are_told_to_a_screen_reader_and_in_the_title(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place(table_id="8")
        said = terminal.locator("#announcer")
        await expect(said).to_have_text("New order: Table 8, 2 × 비빔밥 Bibimbap, ₩19,000")
        assert await said.get_attribute("aria-live") == "polite"
        await expect(terminal).to_have_title("(1) new — Yabam")
        label = await card(terminal, order).get_attribute("aria-label")
        assert label is not None
        assert "Table 8" in label
        unnamed = await terminal.locator("button:visible").evaluate_all(
            "all => all.filter(b => !(b.innerText || b.ariaLabel || '').trim()).length"
        )
        assert unnamed == 0


async def test_it_speaks_korean_to_a_korean_browser_and_can_be_switched(
    store: Store, browser: Browser
) -> None:
    async with device(browser, locale="ko-KR") as owner:
        terminal = await opened(owner, store.terminal_url)
        await expect(terminal.locator("#column-new")).to_have_text("새 주문")
        await terminal.locator('#terminal [data-action="language"]').click()
        await expect(terminal.locator("#column-new")).to_have_text("New")


@pytest.mark.parametrize("size", SIZES)
async def test_it_fits_and_can_be_touched(store: Store, browser: Browser, size: str) -> None:
    async with device(browser, SIZES[size], touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        for table in range(1, 5):
            order = await store.place(table_id=str(table), note="덜 맵게 해 주세요")
        await card(terminal, order).wait_for()
        await shot(terminal, f"terminal-{size}")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await terminal.evaluate(wide) == 0
        low = await terminal.locator("button:visible").evaluate_all(
            "all => all.filter(b => b.getBoundingClientRect().height < 43.5).map(b => b.innerText)"
        )
        assert low == []
        cut = "e => e.scrollWidth - e.clientWidth"
        assert await terminal.locator("#store-name").evaluate(cut) == 0, "the name is cut"


@pytest.mark.parametrize(
    ("token_of", "said"),
    [
        ("nonsense", "not"),
        ("table", "not for a store's terminal"),
        ("expired", "expired"),
    ],
)
async def test_a_token_that_does_not_fit_is_refused_with_the_reason(
    site: Site, store: Store, browser: Browser, token_of: str, said: str
) -> None:
    tokens = {
        "nonsense": "nonsense",
        "table": store.table_url("1").partition("token=")[2],
        "expired": site.token("owner", store.id, lifetime_s=-5),
    }
    async with device(browser) as owner:
        page = await owner.new_page()
        await page.goto(f"{site.stack.core_url}/terminal")
        await page.locator("#token").fill(tokens[token_of])
        await page.get_by_role("button", name="Receive orders").click()
        await expect(page.locator("#sign-in-error")).to_contain_text(said)
        await shot(page, f"sign-in-{token_of}")


async def test_a_token_that_core_refuses_leads_back_to_the_sign_in(
    site: Site, store: Store, browser: Browser
) -> None:
    forged = store.owner[:-4] + ("aaaa" if store.owner[-4:] != "aaaa" else "bbbb")
    async with device(browser) as owner:
        page = await owner.new_page()
        await page.goto(f"{site.stack.core_url}/terminal#token={forged}")
        await expect(page.locator("#sign-in")).to_be_visible()
        await expect(page.locator("#sign-in-error")).not_to_be_empty()


async def test_the_token_leaves_the_address_and_signing_out_forgets_it(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        assert terminal.url == f"{site.stack.core_url}/terminal"
        await terminal.locator('[data-action="sign-out"]').click()
        await expect(terminal.locator("#sign-in")).to_be_visible()
        kept = "JSON.stringify([{...sessionStorage}, {...localStorage}])"
        assert store.owner not in await terminal.evaluate(kept)


async def test_signing_out_leaves_no_order_and_drops_what_was_not_sent_only_when_told_to(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place(guest={"name": "Kim Minji"})
        await card(terminal, order).wait_for()
        await terminal.route("**/transitions", lambda route: route.abort())
        await press(terminal, order, "accepted")
        await expect(card(terminal, order).locator(".retrying")).to_have_count(1)
        asked: list[str] = []

        async def answer(dialog: Dialog) -> None:
            asked.append(dialog.message)
            await (dialog.dismiss() if len(asked) == 1 else dialog.accept())

        terminal.on("dialog", answer)
        await terminal.locator('[data-action="sign-out"]').click()
        await expect(card(terminal, order)).to_be_visible()
        await terminal.locator('[data-action="sign-out"]').click()
        await expect(terminal.locator("#sign-in")).to_be_visible()
        assert all("not sent yet" in message for message in asked[:2])
        left = await terminal.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert "Minji" not in left
        assert order["id"] not in left
        assert (await store.read(order["id"]))["status"] == "placed"


async def test_a_link_opened_where_the_page_is_already_signs_in(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        page = await owner.new_page()
        await page.goto(f"{site.stack.core_url}/terminal")
        await expect(page.locator("#sign-in")).to_be_visible()
        await page.goto(store.terminal_url)
        await lit(page, "live")
        assert "token" not in page.url


async def test_the_pages_may_load_nothing_from_elsewhere(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.stack.core_url) as client:
        for path in ("/terminal", "/table", "/ops"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
