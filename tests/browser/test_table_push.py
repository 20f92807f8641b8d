"""A guest's locked phone: the page subscribes it, its worker shows pushes, the party ends it.

As in `test_terminal_phone.py`, the subscription is made up, and what a push service would hand over
is handed to the worker by the browser's own tools.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from playwright.async_api import Browser, BrowserContext, Page, Worker, expect

from core_api.push.messages import Ready
from tests.browser.restaurant import PAGES, SIZES, Store, device, opened
from tests.browser.test_terminal_phone import REPLACED, SUBSCRIBED, let_subscribe, push

pytestmark = PAGES
PHONE = SIZES["phone"]
PUSHES = "**/v1/guest-pushes/*"
SCOPE = "/static/table/"


async def phones(store: Store) -> list[dict[str, Any]]:
    """The guests' phones of the store that Core tells."""
    connection = await asyncpg.connect(store.site.stack.addresses.database)
    try:
        rows = await connection.fetch("SELECT * FROM guest_pushes WHERE store_id = $1", store.id)
    finally:
        await connection.close()
    return [dict(row) for row in rows]


async def asked_for(guest: BrowserContext, store: Store) -> Page:
    """The page of a guest who has asked for notifications, once Core tells their phone."""
    await let_subscribe(guest)
    await store.place()
    table = await opened(guest, store.table_url("5", age_s=60))
    async with table.expect_response(PUSHES) as told:
        await table.locator("#notices").click()
    assert (await told.value).status == 204
    return table


def worker_of(guest: BrowserContext) -> Worker:
    """The worker that shows the notices."""
    (worker,) = guest.service_workers
    return worker


async def test_a_guest_who_asks_for_it_is_told_on_a_locked_phone_until_they_end_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, "ko-KR", workers="allow") as guest:
        table = await asked_for(guest, store)
        (phone,) = await phones(store)
        assert (phone["table_id"], phone["language"]) == ("5", "ko")
        # Another language of the page is that of the next message.
        async with table.expect_response(PUSHES):
            await table.locator("#table [data-action=language]").click()
        assert [phone["language"] for phone in await phones(store)] == ["en"]
        async with table.expect_response(PUSHES):
            await table.locator("#notices").click()
        await table.wait_for_function(f"() => {SUBSCRIBED} === null")
        assert await phones(store) == []


async def test_it_is_told_again_at_the_next_start_of_the_page(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, workers="allow") as guest:
        table = await asked_for(guest, store)
        (before,) = await phones(store)
        async with table.expect_response(PUSHES):
            await table.reload()
        (after,) = await phones(store)
        assert after["renewed_at"] > before["renewed_at"]


async def test_a_party_that_leaves_leaves_no_phone_that_is_told(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, workers="allow") as guest:
        table = await asked_for(guest, store)
        await store.write(f"party:{store.id}/5", "party", {"merge": {"number": 1}})
        await expect(table.locator("#sign-in")).to_be_visible()
        await table.wait_for_function(f"() => {SUBSCRIBED} === null")
        # The next party at the same phone has not asked for it.
        await opened(guest, store.table_url("5"))
        await store.place()
        pages = guest.pages
        await expect(pages[-1].locator("#notices")).to_have_attribute("aria-pressed", "false")


async def test_a_push_is_a_notification_in_the_guest_s_language_with_the_orders_numbers(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, workers="allow") as guest:
        table = await asked_for(guest, store)
        worker = worker_of(guest)
        await worker.evaluate(
            """() => {
                globalThis.shown = [];
                registration.showNotification = async (title, { body, tag }) => {
                    shown.push([title, body, tag]);
                };
            }"""
        )
        await push(table, Ready(["A1B2"], "en"), SCOPE)
        await push(table, Ready(["C3D4", "A1B2"], "ko"), SCOPE)
        async with asyncio.timeout(20):
            while len(shown := await worker.evaluate("shown")) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert shown == [
            ["Order #A1B2 is ready!", "Ready. It is on its way to you.", "ready-A1B2"],
            ["주문 #C3D4, #A1B2 준비 완료!", "준비되었습니다. 곧 가져다 드립니다.", "ready-C3D4"],
        ]


async def test_a_subscription_that_the_browser_has_replaced_is_told_to_core_by_the_open_page(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, workers="allow") as guest:
        table = await asked_for(guest, store)
        async with table.expect_response(PUSHES):
            await worker_of(guest).evaluate(REPLACED)
