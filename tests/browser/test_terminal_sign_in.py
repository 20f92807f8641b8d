"""The terminal's sign-in: it is renewed before it ends, and a code signs in a new tablet."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from tests.browser.restaurant import PAGES, Site, Store, card, device, lit, opened, press, shot
from tests.browser.test_signing_in_anew import end

pytestmark = PAGES

ENDS_IN_S = 800
"""Soon enough that the terminal asks for the next token, and late enough that nobody is told."""


async def test_the_sign_in_is_renewed_before_it_ends_and_nobody_notices(
    site: Site, store: Store, browser: Browser
) -> None:
    token = site.token("owner", store.id, lifetime_s=ENDS_IN_S)
    async with device(browser) as owner:
        page = await owner.new_page()
        async with page.expect_response("**/v1/tokens/renewals") as renewal:
            await page.goto(f"{site.stack.core_url}/terminal#token={token}")
        assert (await renewal.value).status == 200
        order = await store.place()
        await card(page, order).wait_for()
        await page.wait_for_function(
            "(old) => JSON.parse(sessionStorage['yabam.session.owner']).token !== old", arg=token
        )
        # The one before may end: it is used no longer.
        await end(page, token)
        await press(page, order, "accepted")
        await expect(card(page, order)).to_have_attribute("data-status", "accepted")
        await expect(card(page, order).locator(".sending-note")).to_have_count(0)
        await expect(page.locator("#session")).to_be_hidden()
        await lit(page, "live")


async def test_a_new_tablet_is_let_in_by_the_code_that_a_terminal_shows(
    site: Site, store: Store, browser: Browser
) -> None:
    order = await store.place()
    async with device(browser) as owner, device(browser) as bought_today:
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        await terminal.get_by_role("button", name="Show a code").click()
        shown = terminal.locator("#kitchen .code")
        await expect(shown).to_be_visible()
        await shot(terminal, "terminal-pairing")
        code = (await shown.inner_text()).strip()
        tablet = await bought_today.new_page()
        await tablet.goto(f"{site.stack.core_url}/terminal")
        await tablet.get_by_label("Store number").fill(store.id)
        wrong = f"{(int(code.replace(' ', '')) + 1) % 10**6:06}"
        await tablet.get_by_label("Six-digit code").fill(wrong)
        await tablet.get_by_label("Six-digit code").press("Enter")
        await expect(tablet.locator("#pair-error")).to_contain_text("is wrong")
        await shot(tablet, "terminal-pairing-tablet")
        await tablet.get_by_label("Six-digit code").fill(code)
        await tablet.get_by_role("button", name="Sign in by the code").click()
        await lit(tablet, "live")
        await press(tablet, order, "accepted")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        # It stays signed in, for the code is good no longer.
        later = await bought_today.new_page()
        await later.goto(f"{site.stack.core_url}/terminal")
        await lit(later, "live")
