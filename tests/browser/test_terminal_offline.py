"""The terminal without a network: it opens from its copy, and a new release still arrives."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.browser.module_page import until
from tests.browser.releases import Releases, running
from tests.browser.restaurant import (
    PAGES,
    Site,
    Store,
    card,
    device,
    has_kept,
    lit,
    opened,
    until_ready,
)

pytestmark = PAGES


async def has_its_copy(page: Page) -> None:
    """Return once the browser keeps a copy of the page that is shown, with all its files."""
    await until(
        page,
        """async () => {
            const cache = await caches.open("yabam-terminal");
            const copy = await (await cache.match("/terminal"))?.text();
            const files = [...document.querySelectorAll("link[href]")];
            const isKept = files.every((one) => copy?.includes(one.getAttribute("href")));
            return navigator.serviceWorker.controller !== null && isKept;
        }""",
    )


async def copy_is(page: Page, text: str) -> list[str]:
    """Return once the copy is this page, and nothing is kept any more: the paths of its files."""
    await until(
        page,
        """async (text) => {
            const cache = await caches.open("yabam-terminal");
            return await (await cache.match("/terminal"))?.text() === text;
        }""",
        text,
    )
    paths: list[str] = await page.evaluate(
        """() => navigator.locks.request("yabam-terminal", async () => {
            const all = await (await caches.open("yabam-terminal")).keys();
            return all.map(({ url }) => new URL(url).pathname);
        })"""
    )
    return paths


async def test_it_opens_without_a_network_and_sends_what_was_pressed_when_there_is_one(
    mortal_site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await has_kept(terminal, store, 1)
        await has_its_copy(terminal)
        for process in (mortal_site.stack.core, mortal_site.stack.events):
            await asyncio.to_thread(process.kill)
        await terminal.reload()
        await card(terminal, order).locator('[data-to="accepted"]').click()
        await expect(card(terminal, order).locator(".retrying")).to_be_visible()
        # What was pressed outlasts its tab, without a network.
        await terminal.close()
        terminal = await owner.new_page()
        await terminal.goto(store.terminal_url)
        await expect(card(terminal, order).locator(".sending-note")).to_be_visible()
        await lit(terminal, "offline")
        for process in (mortal_site.stack.core, mortal_site.stack.events):
            process.start()
        await until_ready(mortal_site.stack.core, mortal_site.stack.events)
        await lit(terminal, "live")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)
        assert await store.events(order["id"]) == ["order.placed", "order.accepted"]


async def test_a_new_release_is_there_at_the_next_start_and_is_the_copy_from_then_on(
    browser: Browser,
) -> None:
    releases = Releases()
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        title = terminal.locator("#sign-in h1")
        await expect(title).to_have_text("The first")
        await has_its_copy(terminal)
        releases.release("The second")
        await terminal.reload()
        await expect(title).to_have_text("The second")
        kept = await copy_is(terminal, releases.page("The second"))
        releases.fail()
        await terminal.reload()
        await expect(title).to_have_text("The second")
        # Nothing of the first is left.
        names = [path.split("/")[-1] for path in kept]
        assert len(names) == len(set(names))


async def test_a_page_that_comes_late_is_shown_from_its_copy_and_is_the_copy_of_the_next_start(
    browser: Browser,
) -> None:
    releases = Releases(patience_ms=1)
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        title = terminal.locator("#sign-in h1")
        await has_its_copy(terminal)
        releases.release("The second")
        with releases.holding("/terminal"):
            await terminal.reload()
            await expect(title).to_have_text("The first")
        await copy_is(terminal, releases.page("The second"))
        releases.fail()
        await terminal.reload()
        await expect(title).to_have_text("The second")


async def test_pages_of_two_releases_that_come_at_once_leave_one_copy_with_all_its_files(
    browser: Browser,
) -> None:
    releases = Releases()
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        first, second, third = [await owner.new_page() for _ in range(3)]
        await first.goto(f"{url}/terminal")
        await has_its_copy(first)
        releases.release("The second")
        releases.release("The third")
        icon = releases.address("The second", "shared/icon.svg")
        manifest = releases.address("The second", "terminal/app.webmanifest")
        with releases.holding(manifest):
            await second.goto(f"{url}/terminal?release=The+second", wait_until="commit")
            await until(first, "(icon) => caches.match(icon)", icon)
            await third.goto(f"{url}/terminal?release=The+third")
            assert icon not in await copy_is(third, releases.page("The third"))
        kept = await copy_is(first, releases.page("The second"))
        assert {icon, manifest} <= set(kept)


LOGIN = HTMLResponse("<h1>Sign in to the network</h1>")


async def leads_to_login(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as a proxy that wants a sign-in first."""
    there = scope["path"] == "/login"
    await (LOGIN if there else RedirectResponse("/login"))(scope, receive, send)


@pytest.mark.parametrize(
    "proxy",
    [LOGIN, leads_to_login, HTMLResponse(LOGIN.body, 401), HTMLResponse(LOGIN.body, 403)],
    ids=["a page", "a redirect", "401", "403"],
)
async def test_a_sign_in_that_a_proxy_wants_is_shown_and_never_kept(
    proxy: ASGIApp, browser: Browser
) -> None:
    releases = Releases()
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        await has_its_copy(terminal)
        releases.answer(proxy)
        await terminal.reload()
        await expect(terminal.locator("h1")).to_have_text("Sign in to the network")
        releases.fail()
        await terminal.goto(f"{url}/terminal")
        await expect(terminal.locator("#sign-in h1")).to_have_text("The first")


async def test_a_page_to_which_a_redirect_leads_opens_without_a_network(browser: Browser) -> None:
    releases = Releases()
    releases.release("The first")

    async def led(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/terminal" and not scope["query_string"]:
            await RedirectResponse("/terminal?release=The+first")(scope, receive, send)
        else:
            await releases(scope, receive, send)

    async with running(led) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        title = terminal.locator("#sign-in h1")
        await expect(title).to_have_text("The first")
        await has_its_copy(terminal)
        await terminal.goto(f"{url}/terminal")
        await expect(title).to_have_text("The first")
        releases.fail()
        await terminal.goto(f"{url}/terminal")
        await expect(title).to_have_text("The first")


async def test_the_menu_is_the_copy_while_a_proxy_finds_no_core(browser: Browser) -> None:
    releases = Releases()
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        await has_its_copy(terminal)
        releases.fail()
        menu = "fetch('/static/table/menu.json').then(({ status }) => status)"
        assert await terminal.evaluate(menu) == 200
