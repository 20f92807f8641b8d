"""A token ends while the page is open: the page warns, holds presses back, and continues."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, Route, expect

from client_sdk.contract.channel import Channel
from tests.browser.restaurant import PAGES, SIZES, Site, Store, card, device, lit, opened
from tests.browser.test_table_page import order_from_the_menu

pytestmark = PAGES

REFUSED = (
    '{"type":"urn:yabam:problem:unauthorized","title":"Unauthorized","status":401,'
    '"detail":"the token has expired: get a new one"}'
)


async def end(page: Page, token: str) -> None:
    """From now on Core refuses this token, and no other."""

    async def refuse(route: Route) -> None:
        if route.request.headers.get("authorization") == f"Bearer {token}":
            await route.fulfill(status=401, content_type="application/problem+json", body=REFUSED)
        else:
            await route.continue_()

    await page.route("**/v1/**", refuse)


async def sign_in_again(page: Page, text: str) -> None:
    """Paste it into the page's dialog."""
    if not await page.locator("#renew").is_visible():
        await page.locator("#session button").click()
    await page.locator("#renew-token").fill(text)
    await page.locator("#renew button[type=submit]").click()


async def test_a_press_on_an_ended_token_waits_and_goes_out_once_with_the_next(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order, changed = await store.place(table_id="1"), await store.place(table_id="2")
        await card(terminal, changed).wait_for()
        await end(terminal, store.owner)
        for one in (order, changed):
            await card(terminal, one).locator('[data-to="accepted"]').click()
            await expect(card(terminal, one).locator(".sending-note")).to_have_text(
                "Waits until you sign in again"
            )
        await expect(terminal.locator("#session")).to_contain_text("Your sign-in has ended")
        await store.change(changed, note="without onions")

        other = site.token("owner", "another-store")
        await sign_in_again(terminal, other)
        await expect(terminal.locator("#renew-error")).to_contain_text("of another store")
        await sign_in_again(terminal, site.token("table", table=Channel("table", store.id, "1")))
        await expect(terminal.locator("#renew-error")).to_contain_text("not for a store's terminal")
        assert (await store.read(order["id"]))["status"] == "placed"

        sent: list[str] = []
        terminal.on("request", lambda r: sent.append(r.url) if "/transitions" in r.url else None)
        link = (
            f"{site.stack.core_url}/terminal#token={site.token('owner', store.id, lifetime_s=1800)}"
        )
        await sign_in_again(terminal, link)
        await expect(terminal.locator("#renew")).to_be_hidden()
        await expect(terminal.locator("#session")).to_be_hidden()
        await expect(terminal.locator(".sending-note")).to_have_count(0)
        assert (await store.read(order["id"]))["status"] == "accepted"
        # Nobody accepts what was changed under their hands.
        assert (await store.read(changed["id"]))["status"] == "placed"
        await expect(terminal.locator(".toast")).to_contain_text("was changed in the meantime")
        assert len(sent) == 2
        await lit(terminal, "live")


async def test_an_ended_token_keeps_the_board_and_the_press_over_a_reload_and_a_link_renews_it(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await end(terminal, store.owner)
        await card(terminal, order).locator('[data-to="accepted"]').click()
        note = card(terminal, order).locator(".sending-note")
        await expect(note).to_have_text("Waits until you sign in again")
        terminal.on("dialog", lambda dialog: dialog.accept())
        await terminal.reload()
        await expect(note).to_have_text("Waits until you sign in again")
        # A link that is opened in another tab serves this one, too.
        later = site.token("owner", store.id, lifetime_s=7200)
        await opened(owner, f"{site.stack.core_url}/terminal#token={later}")
        await expect(note).to_have_count(0)
        await expect(terminal.locator("#session")).to_be_hidden()
        assert (await store.read(order["id"]))["status"] == "accepted"


@pytest.mark.parametrize("clock_off_s", [0, 86_400, -86_400])
async def test_it_warns_by_core_s_clock_before_a_token_ends(
    site: Site, store: Store, browser: Browser, clock_off_s: int
) -> None:
    token = site.token("owner", store.id, lifetime_s=590)
    async with device(browser) as owner:
        await owner.add_init_script(
            f"const now = Date.now; Date.now = () => now() + {clock_off_s * 1000};"
        )
        terminal = await opened(owner, f"{site.stack.core_url}/terminal#token={token}")
        said = "Your sign-in ends in 10 minutes"
        await expect(terminal.locator("#session")).to_contain_text(said)
        await expect(terminal.locator(".spoken[aria-live=polite]", has_text=said)).to_have_count(1)
        await sign_in_again(terminal, site.token("owner", store.id))
        await expect(terminal.locator("#session")).to_be_hidden()


async def test_an_order_waits_on_the_table_s_page_for_the_next_code(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser, SIZES["phone"]) as guest:
        url = store.table_url("5")
        table = await opened(guest, url)
        await end(table, url.partition("token=")[2])
        await order_from_the_menu(table)
        await expect(table.locator("#order")).to_have_text("Waits for a new code, then it is sent")
        assert await store.open_orders() == []
        channel = Channel("table", store.id, "5")
        later = site.token("table", table=channel, lifetime_s=7200)
        await table.goto(f"{site.stack.core_url}/table#token={later}")
        await expect(table.locator("#orders .order")).to_have_attribute("data-status", "placed")
        await expect(table.locator("#orders .sending")).to_have_count(0)
        assert len(await store.open_orders()) == 1


async def test_the_rule_of_the_notice(site: Site, browser: Browser) -> None:
    async with device(browser) as guest:
        page = await guest.new_page()
        await page.goto(f"{site.stack.core_url}/table")
        told = await page.evaluate(
            """async () => {
                const { noticeOf } = await import("/static/shared/sign_in/credentials.js");
                const minute = 60_000;
                const of = (left, refused = false) =>
                    noticeOf({ expiresAt: 0, now: left === null ? null : -left, refused });
                return [of(10 * minute + 1), of(10 * minute), of(minute + 1), of(minute), of(1),
                    of(0), of(null), of(null, true), of(60 * minute, true)];
            }"""
        )
    assert told == [None, "soon", "soon", "last", "last", "ended", None, "ended", "ended"]
