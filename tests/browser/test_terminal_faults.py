"""The owner's terminal while servers die and the network goes: nothing is lost,
and it says so."""

from __future__ import annotations

import asyncio

from playwright.async_api import Browser, Page, Request, expect

from tests.browser.restaurant import (
    PAGES,
    Site,
    Store,
    card,
    device,
    has_kept,
    lit,
    opened,
    shot,
    until_ready,
)

pytestmark = PAGES

TRIES_WITHIN_MS = 60_000
"""In which a page, on a busy machine, has asked a frozen Core again."""


def is_sync(request: Request) -> bool:
    return "/v1/sync?" in request.url


async def expect_the_same_as_core(store: Store, terminal: Page) -> None:
    """Each open order stands on the terminal as it does in Core, and no other does."""
    orders = await store.open_orders()
    await expect(terminal.locator(".card")).to_have_count(len(orders))
    for order in orders:
        await expect(card(terminal, order)).to_have_attribute("data-status", order["status"])
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)


async def test_without_event_server_it_polls_and_orders_still_arrive_and_it_returns(
    mortal_site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        await asyncio.to_thread(mortal_site.stack.events.kill)
        await lit(terminal, "polling")
        await expect(terminal.locator("#fault")).to_contain_text("Orders still arrive")
        orders = [await store.place(table_id=str(table)) for table in (1, 2)]
        for order in orders:
            await card(terminal, order).wait_for()
        await shot(terminal, "terminal-polling")
        mortal_site.stack.events.start()
        await until_ready(mortal_site.stack.events)
        await lit(terminal, "live")
        await expect(terminal.locator("#fault")).to_be_hidden()
        await store.place(table_id="3")
        await expect_the_same_as_core(store, terminal)


async def test_with_everything_gone_it_is_offline_keeps_what_was_done_and_recovers_all(
    mortal_site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        first, second = [await store.place(table_id=str(table)) for table in (1, 2)]
        await card(terminal, second).wait_for()
        for process in (mortal_site.stack.core, mortal_site.stack.events):
            await asyncio.to_thread(process.kill)
        await lit(terminal, "offline")
        await expect(terminal.locator("#fault")).to_contain_text("it catches up by itself")
        await expect(terminal.locator(".lamp-certain")).not_to_be_empty()
        await card(terminal, first).locator('[data-to="accepted"]').click()
        await expect(card(terminal, first).locator(".retrying")).to_have_text(
            "No connection — will be sent again"
        )
        await shot(terminal, "terminal-offline")
        mortal_site.stack.core.start()
        await until_ready(mortal_site.stack.core)
        # Somebody orders before the terminal is back.
        third = await store.place(table_id="3")
        mortal_site.stack.events.start()
        await until_ready(mortal_site.stack.events)
        await lit(terminal, "live")
        await card(terminal, third).wait_for()
        await expect_the_same_as_core(store, terminal)
        assert (await store.read(first["id"]))["status"] == "accepted"


async def test_the_lamp_turns_within_8_seconds_when_all_servers_are_frozen(
    mortal_site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        # By the page's own clock, less what a busy machine kept it from running.
        await terminal.evaluate(
            """() => {
                let before = performance.now();
                window.starved = 0;
                setInterval(() => {
                    const now = performance.now();
                    window.starved += Math.max(0, now - before - 100);
                    before = now;
                }, 100);
                const lamp = document.querySelector("#lamp");
                window.shown = [[lamp.dataset.mode, performance.now()]];
                const note = () => {
                    const { mode } = lamp.dataset;
                    if (mode !== shown.at(-1)[0]) shown.push([mode, performance.now()]);
                };
                new MutationObserver(note).observe(lamp, { attributeFilter: ["data-mode"] });
            }"""
        )
        frozen_at = await terminal.evaluate("performance.now()")
        frozen = [process for process in mortal_site.stack.processes if process.running]
        for process in frozen:
            process.suspend()
        try:
            async with terminal.expect_request(is_sync, timeout=TRIES_WITHIN_MS):
                await lit(terminal, "unsure")
                (_, (_, turned), *_), starved = await terminal.evaluate("[shown, starved]")
                assert turned - frozen_at - starved < 8000
                said = terminal.locator("#fault")
                await expect(said).to_contain_text("New orders may be missing")
                # Both say the same second, up to which the board is certain.
                second = await terminal.locator(".lamp-certain").inner_text()
                assert second.removeprefix("Last certain at ") in await said.inner_text()
            # It asks Core for the orders, and goes on with all else: nothing brings an answer, and
            # not for a moment it says that orders arrive.
            async with terminal.expect_request("**/v1/receipts", timeout=TRIES_WITHIN_MS):
                pass
            (before, _), *after = await terminal.evaluate("shown")
            assert before == "live"
            assert {mode for mode, _ in after} <= {"unsure", "offline"}
        finally:
            for process in frozen:
                process.resume()
        await lit(terminal, "live")
        await expect_the_same_as_core(store, terminal)


async def test_what_was_pressed_survives_a_reload_without_network(
    site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await terminal.route("**/transitions", lambda route: route.abort())
        await card(terminal, order).locator('[data-to="accepted"]').click()
        await expect(card(terminal, order).locator(".retrying")).to_have_count(1)
        await has_kept(terminal, store, 1)
        terminal.on("dialog", lambda dialog: dialog.accept())
        await terminal.unroute("**/transitions")
        await terminal.reload()
        await lit(terminal, "live")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await expect_the_same_as_core(store, terminal)
        assert (await store.read(order["id"]))["status"] == "accepted"


async def test_a_network_that_goes_and_comes_back_loses_nothing(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        orders = [await store.place() for _ in range(3)]
        await expect(terminal.locator(".card")).to_have_count(3)
        await owner.set_offline(True)
        await lit(terminal, "offline")
        for to in ("accepted", "preparing", "ready", "served", "paid"):
            await store.step(orders[0], to)
        await store.place()
        await owner.set_offline(False)
        await lit(terminal, "live")
        # The paid one stays in the last column for a while: it is done, not lost.
        await expect(card(terminal, orders[0])).to_have_attribute("data-status", "paid")
        await expect(terminal.locator('.column[data-column="new"] .card')).to_have_count(3)


async def test_a_page_that_slept_asks_at_once(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        async with terminal.expect_request(is_sync):
            await terminal.evaluate("dispatchEvent(new Event('online'))")
        await lit(terminal, "live")
        await expect_the_same_as_core(store, terminal)
