"""Guests see the store's changes at once: sold out, closed, waiting time, reasons, ready."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.restaurant import PAGES, SIZES, Store, device, opened
from tests.browser.test_table_page import fill_the_cart, order_from_the_menu

pytestmark = PAGES
PHONE = SIZES["phone"]
# Counts the tones, and keeps the notifications, which no test can see on the screen.
LISTENING = """
    globalThis.heard = { tones: 0, notices: [] };
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...given) {
        heard.tones += 1;
        return start.apply(this, given);
    };
    Object.defineProperty(Notification, "permission", { get: () => "granted" });
    Notification.requestPermission = async () => "granted";
    // An empty page, which a tab begins with, has no workers.
    const workers = globalThis.ServiceWorkerRegistration?.prototype ?? {};
    workers.showNotification = async (title, more) => heard.notices.push([title, more.body]);
"""


async def test_what_is_sold_out_shows_at_once_and_cannot_be_ordered(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await opened(guest, store.table_url("5"))
        await fill_the_cart(table)
        stew = table.locator(".dish").nth(0)
        await store.says("sold-out", {"items": {"x1": {"name": "김치찌개  KIMCHI stew"}}})
        await expect(stew.locator(".badge")).to_have_text("Sold out")
        await expect(stew.get_by_role("button", name="One more")).to_be_disabled()
        await expect(table.locator("#order")).to_be_disabled()
        await expect(table.locator("#cart-why")).to_have_text(
            "Sold out, please take it out: Kimchi stew"
        )
        for _ in range(2):
            await stew.get_by_role("button", name="One Kimchi stew fewer").click()
        await expect(table.locator("#order")).to_have_text("Order 1 · ₩9,500")
        await store.says("sold-out", {"items": {}})
        await expect(stew.get_by_role("button", name="One more")).to_be_enabled()


async def test_an_order_that_core_refuses_comes_back_to_the_cart_and_says_why(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, "ko-KR") as guest:
        table = await opened(guest, store.table_url("5"))
        for _ in range(2):
            await table.locator(".dish").nth(0).get_by_role("button", name="하나 더").click()
        await expect(table.locator("#order")).to_contain_text("2")
        answer = {
            "type": "urn:yabam:problem:sold-out",
            "title": "Something in the order is sold out",
            "status": 409,
            "detail": "sold out: x",
        }
        await table.route(
            "**/v1/orders",
            lambda route: route.fulfill(
                status=409, json=answer, content_type="application/problem+json"
            ),
        )
        await table.locator("#order").click()
        await expect(table.locator(".toast")).to_contain_text("그 사이 품절된 메뉴가 있어")
        await expect(table.locator("#order")).to_have_text("2개 주문하기 · ₩18,000")
        await expect(table.locator("#order")).to_be_enabled()


async def test_a_store_that_takes_no_orders_says_so_and_takes_none(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await opened(guest, store.table_url("5"))
        await fill_the_cart(table)
        await store.says("taking-orders", {"value": False, "reason": "The fryer is broken"})
        await expect(table.locator("#closed")).to_have_text(
            "No orders are taken right now: The fryer is broken"
        )
        await expect(table.locator("#order")).to_be_disabled()
        await store.says("taking-orders", {"value": True})
        await expect(table.locator("#closed")).to_be_hidden()
        await expect(table.locator("#order")).to_be_enabled()


async def test_a_guest_who_waits_is_told_how_long_by_what_the_store_says(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await opened(guest, store.table_url("5"))
        await store.says("waiting-time", {"value": 25})
        await expect(table.locator("#takes")).to_have_text("Takes about 25 min now")
        await order_from_the_menu(table)
        await expect(table.locator(".wait")).to_have_text("About 25 min to go.")


async def waits_of(page: Page, status: str, minutes: float, says: int | None) -> str | None:
    """The text of the wait for an order that was placed so many minutes ago."""
    now = datetime.now(UTC)
    order = {"status": status, "created_at": (now - timedelta(minutes=minutes)).isoformat()}
    told = await page.evaluate(
        """async ([order, now, minutes]) => {
            const { waitOf } = await import("/static/table/shop.js");
            return waitOf(order, now, minutes)?.text ?? null;
        }""",
        [order, now.timestamp() * 1000, says],
    )
    return None if told is None else str(told)


async def test_nobody_is_told_of_a_moment_after_minutes(store: Store, browser: Browser) -> None:
    async with device(browser, PHONE) as guest:
        page = await guest.new_page()
        await page.goto(f"{store.site.stack.core_url}/table")
        told = {
            (status, minutes, says): await waits_of(page, status, minutes, says)
            for status, minutes, says in (
                ("placed", 1, None),
                ("placed", 3, None),
                ("placed", 10, None),
                ("preparing", 9, None),
                ("preparing", 11, None),
                ("placed", 11, 25),
                ("accepted", 26, 25),
                ("ready", 60, 25),
            )
        }
    assert told == {
        ("placed", 1, None): None,
        ("placed", 3, None): "waitConfirm",
        ("placed", 10, None): "waitLong",
        ("preparing", 9, None): None,
        ("preparing", 11, None): "waitLong",
        ("placed", 11, 25): "waitAbout",
        ("accepted", 26, 25): "waitLong",
        ("ready", 60, 25): None,
    }


async def placed_earlier(page: Page, minutes: int) -> None:
    """Core's clock is so many minutes on; streams cannot be changed, so the page polls."""

    async def later(route: Route) -> None:
        response = await route.fetch()
        answer = await response.json()
        if "server_time" in answer:
            now = datetime.fromisoformat(answer["server_time"]) + timedelta(minutes=minutes)
            text = now.isoformat().replace("+00:00", "Z")
            answer |= {"server_time": text, "stream": None}
        await route.fulfill(response=response, json=answer)

    await page.route("**/v1/sync**", later)


async def test_after_the_waiting_time_the_guest_reads_still_waiting_and_can_ask(
    store: Store, browser: Browser
) -> None:
    await store.place()
    async with device(browser, PHONE) as guest:
        table = await guest.new_page()
        await placed_earlier(table, 12)
        await table.goto(store.table_url("5"))
        row = table.locator("#orders .order")
        await expect(row.locator(".wait")).to_contain_text("Still waiting, 12 min by now")
        await expect(row).not_to_contain_text("in a moment")
        await row.get_by_role("button", name="Ask the staff").click()
        await expect(table.locator("#bell-state")).to_be_visible()


async def test_a_guest_hears_and_is_notified_that_an_order_is_ready(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, workers="allow") as guest:
        await guest.add_init_script(LISTENING)
        table = await opened(guest, store.table_url("5"))
        await order_from_the_menu(table)
        await expect(table.locator("#orders .order")).to_have_count(1)
        await table.locator("#notices").click()
        await expect(table.locator("#notices")).to_have_attribute("aria-pressed", "true")
        (order,) = await store.open_orders()
        await store.step(order, "accepted")
        await expect(table.locator("#orders .order")).to_have_attribute("data-status", "accepted")
        assert await table.evaluate("heard.tones") == 0
        await store.step(order, "preparing")
        await store.step(order, "ready")
        await table.wait_for_function("() => heard.tones > 0 && heard.notices.length > 0")
        number = order["id"][-4:].upper()
        assert await table.evaluate("heard.notices") == [
            [f"Order #{number} is ready!", "Ready. It is on its way to you."]
        ]
        await expect(table.locator(".toast.good")).to_contain_text("is ready!")


async def test_an_order_is_taken_back_only_after_a_second_thought(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await opened(guest, store.table_url("5"))
        await order_from_the_menu(table)
        row = table.locator("#orders .order")
        await row.get_by_role("button", name="Cancel").click()
        await expect(table.locator(".ask")).to_contain_text("Kimchi stew")
        await table.locator(".ask").get_by_role("button", name="Keep it").click()
        await expect(table.locator(".ask")).to_have_count(0)
        await expect(row).to_have_attribute("data-status", "placed")
        (order,) = await store.open_orders()
        assert order["status"] == "placed"


@pytest.mark.parametrize(
    ("locale", "said"), [("en-US", "Reason: Too busy"), ("ko-KR", "사유: 주문이 많습니다")]
)
async def test_the_reason_that_the_owner_chose_is_in_the_guests_language(
    store: Store, browser: Browser, locale: str, said: str
) -> None:
    async with device(browser, PHONE, locale) as guest:
        table = await opened(guest, store.table_url("5"))
        for reason in ("Too busy", "주문이 많습니다"):
            order = await store.place()
            await store.step(order, "rejected", reason=reason)
            row = table.locator("#orders .order").first
            await expect(row).to_contain_text(order["id"][-4:].upper())
            await expect(row).to_contain_text(said)


async def is_seen(page: Page, selector: str) -> bool:
    """Whether the middle of the element is on the screen with nothing above it."""
    return bool(
        await page.locator(selector).first.evaluate(
            """(element) => {
                const { left, top, width, height } = element.getBoundingClientRect();
                const found = document.elementFromPoint(left + width / 2, top + height / 2);
                return element.contains(found);
            }"""
        )
    )


async def test_the_confirmation_is_seen_after_ordering_from_far_down(
    store: Store, browser: Browser
) -> None:
    async with device(browser, (360, 740), touch=True) as guest:
        table = await opened(guest, store.table_url("5"))
        await table.locator(".dish").last.get_by_role("button", name="One more").click()
        await expect(table.locator("#order")).to_contain_text("1")
        await table.locator("#order").click()
        await expect(table.locator("#confirmation")).to_contain_text("is sent · ₩2,000")
        assert await is_seen(table, "#confirmation")
        assert await is_seen(table, "#orders .order .line")


async def test_six_orders_leave_the_menu_in_sight(store: Store, browser: Browser) -> None:
    async with device(browser, (360, 740), touch=True) as guest:
        table = await opened(guest, store.table_url("5"))
        orders = [await store.place() for _ in range(6)]
        await expect(table.locator("#orders .order")).to_have_count(6)
        assert await is_seen(table, ".dish .name")
        await store.step(orders[0], "accepted")
        await store.step(orders[0], "preparing")
        await store.step(orders[0], "ready")
        await expect(table.locator("#orders-fold")).to_have_text("Show earlier orders (5, 1 ready)")
        await table.locator("#orders-fold").click()
        await expect(table.locator("#orders .order").last).to_be_visible()
