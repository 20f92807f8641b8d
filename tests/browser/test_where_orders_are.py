"""The terminal reports the orders that it has shown; both pages name the devices of an order."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.restaurant import PAGES, Store, card, device, opened, shot, still

pytestmark = PAGES


async def holders(store: Store, order: dict[str, Any]) -> dict[str, str]:
    """What has become of the order on each device, by the first word of its name."""
    owner = {"authorization": f"Bearer {store.owner}"}
    async with httpx.AsyncClient(base_url=store.site.stack.core_url, headers=owner) as client:
        answer = await client.get(f"/v1/orders/{order['id']}/devices")
        answer.raise_for_status()
    return {one["device"].split("-")[0]: one["state"] for one in answer.json()["devices"]}


async def until_it_is(store: Store, order: dict[str, Any], state: str) -> None:
    """Return once the terminal has told Core so of the order."""
    async with asyncio.timeout(30):
        while (await holders(store, order)).get("terminal") != state:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def till_syncs(store: Store, seq: int) -> None:
    """A till that has applied the store's channel up to there."""
    headers = {
        "authorization": f"Bearer {store.owner}",
        "yabam-device": "till-9; mode=live; pending=0",
    }
    asked = {"channel": f"store:{store.id}", "lastEventId": str(seq)}
    async with httpx.AsyncClient(base_url=store.site.stack.core_url, headers=headers) as client:
        (await client.get("/v1/sync", params=asked)).raise_for_status()


def rows(where: Page | Locator) -> Locator:
    return where.locator(".reach-list li")


async def test_an_order_on_the_screen_counts_as_seen(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        await opened(owner, store.terminal_url)
        await until_it_is(store, await store.place(), "seen")


async def test_core_is_told_how_the_terminal_receives_what_it_tells_of(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        async with terminal.expect_request("**/v1/receipts") as telling:
            await store.place()
        headers = await (await telling.value).all_headers()
    assert re.fullmatch(r"terminal-[0-9a-f]{12}; mode=live; pending=0", headers["yabam-device"])


async def test_an_order_that_nobody_can_see_is_only_received(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        await owner.add_init_script("""
            window.isAway = true;
            Object.defineProperty(document, "hidden", { get: () => window.isAway });
        """)
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await expect(card(terminal, order)).to_be_visible()
        await until_it_is(store, order, "received")
        await terminal.evaluate(
            "window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))"
        )
        await until_it_is(store, order, "seen")


async def test_a_card_says_on_which_devices_its_order_is(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await until_it_is(store, order, "seen")
        await till_syncs(store, 1)
        one = card(terminal, order)
        await still(terminal)
        await one.get_by_role("button", name="Where is it?").click()
        await expect(rows(one).filter(has_text="This device")).to_contain_text("seen at")
        await expect(rows(one).filter(has_text="till-9")).to_contain_text("received")
        await shot(terminal, "terminal-where")
        await store.step(order, "accepted")
        await expect(one).to_have_attribute("data-status", "accepted")
        await expect(rows(one)).to_have_count(2)
        await still(terminal)
        await one.get_by_role("button", name="Where is it?").click()
        await expect(rows(one)).to_have_count(0)


async def test_what_core_does_not_answer_is_not_known(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await terminal.route("**/v1/orders/*/devices", lambda route: route.abort())
        one = card(terminal, order)
        await still(terminal)
        await one.get_by_role("button", name="Where is it?").click()
        await expect(rows(one)).to_have_text("The server could not be asked.")
        await terminal.unroute("**/v1/orders/*/devices")
        await expect(rows(one).filter(has_text="This device")).to_be_visible()
