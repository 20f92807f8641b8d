"""A locked phone: the terminal subscribes it, and its worker shows what is pushed.

A browser without a vendor's push service cannot subscribe, so the subscription is made up, and what
the push service would hand over is handed to the worker by the browser's own tools. A Chromium
without windows shows no notification: what the worker wants to show is kept instead.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec
from playwright.async_api import Browser, BrowserContext, Page, expect

from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.push.messages import PushMessage
from tests.browser.restaurant import PAGES, Site, Store, device, opened, shot, still
from tests.push_service import Browser as PushedBrowser

pytestmark = PAGES

# What the page sees of a push service: it gives this subscription, for this key.
# It is kept when the page is loaded anew.
SUBSCRIBING = """(given) => {
    const PLACE = "test.subscribed";
    const { endpoint, p256dh, auth } = given;
    const getSubscription = async () => {
        const key = localStorage.getItem(PLACE);
        if (key === null) return null;
        const bytes = Uint8Array.from(
            atob(key.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0),
        );
        return {
            endpoint,
            options: { applicationServerKey: bytes.buffer },
            toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
            // It takes a moment, in which the page may be left.
            unsubscribe: async () => {
                await new Promise((done) => setTimeout(done, 500));
                localStorage.removeItem(PLACE);
                return true;
            },
        };
    };
    const subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
        if (!userVisibleOnly) throw new Error("a page must show what it is pushed");
        localStorage.setItem(PLACE, applicationServerKey);
        return getSubscription();
    };
    // An empty page, which a tab begins with, has neither.
    Object.assign(globalThis.PushManager?.prototype ?? {}, { subscribe, getSubscription });
    Object.defineProperty(Notification, "permission", { get: () => "granted" });
    Notification.requestPermission = async () => "granted";
}"""
SUBSCRIBED = 'localStorage.getItem("test.subscribed")'
# Lets a test have what the page does each day.
DAILY = """(() => {
    const real = globalThis.setInterval;
    globalThis.setInterval = (work, wait, ...more) => {
        if (wait === 86_400_000) globalThis.daily = work;
        return real(work, wait, ...more);
    };
})()"""


async def let_subscribe(owner: BrowserContext) -> None:
    """Let the pages of a device subscribe, at a push service that nobody asks."""
    wanted = PushedBrowser("https://push.example/1").subscription
    given = json.dumps({"endpoint": wanted.endpoint, "p256dh": wanted.p256dh, "auth": wanted.auth})
    await owner.add_init_script(f"({SUBSCRIBING})({given})")


async def told_devices(store: Store) -> list[dict[str, Any]]:
    """The devices of the store that are told of its orders."""
    return list((await store.get(f"/v1/stores/{store.id}/pushes"))["pushes"])


async def push(page: Page, told: msgspec.Struct, scope: str = "/terminal") -> None:
    """Hand a message to the page's worker, as the browser does when its push service sends one."""
    tools = await page.context.new_cdp_session(page)
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def registered(event: dict[str, Any]) -> None:
        for one in event["registrations"]:
            if one["scopeURL"].endswith(scope) and not found.done():
                found.set_result(one["registrationId"])

    tools.on("ServiceWorker.workerRegistrationUpdated", registered)
    await tools.send("ServiceWorker.enable")
    await tools.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": await page.evaluate("location.origin"),
            "registrationId": await found,
            "data": msgspec.json.encode(told).decode(),
        },
    )
    await tools.detach()


async def test_a_press_subscribes_this_device_and_another_ends_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        await let_subscribe(owner)
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        button = terminal.locator("#phone-push")
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
        (told,) = await told_devices(store)
        assert (told["service"], told["language"]) == ("push.example", "en")
        assert told["device"].startswith("terminal-")
        assert await terminal.evaluate(SUBSCRIBED) == (await store.get("/v1/push"))["key"]
        await shot(terminal, "terminal-phone")
        await still(terminal)
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "false")
        assert await told_devices(store) == []


async def test_a_device_that_is_told_says_so_again_at_its_next_start_until_its_owner_signs_out(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        await let_subscribe(owner)
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        await terminal.locator("#phone-push").click()
        await expect(terminal.locator("#phone-push")).to_have_attribute("aria-pressed", "true")
        (before,) = await told_devices(store)
        again = "**/v1/stores/*/pushes/*"
        async with terminal.expect_response(again) as renewed:
            await terminal.reload()
        assert (await renewed.value).status == 204
        (after,) = await told_devices(store)
        assert after["renewed_at"] > before["renewed_at"]
        await terminal.locator("[data-action=sign-out]").click()
        await terminal.locator("#token").wait_for()
        async with asyncio.timeout(20):
            while await told_devices(store):  # noqa: ASYNC110  (in the database)
                await asyncio.sleep(0.05)


async def subscribed(owner: BrowserContext, store: Store) -> Page:
    """The terminal of an owner on a device that is told of the store's orders."""
    await let_subscribe(owner)
    terminal = await opened(owner, store.terminal_url)
    await terminal.locator("#open-kitchen").click()
    await terminal.locator("#phone-push").click()
    await expect(terminal.locator("#phone-push")).to_have_attribute("aria-pressed", "true")
    await still(terminal)
    return terminal


async def test_whoever_signs_out_without_a_network_is_told_no_more(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await subscribed(owner, store)
        await owner.route("**/v1/stores/*/pushes/*", lambda route: route.abort())
        await terminal.locator("[data-action=sign-out]").click()
        await terminal.locator("#token").wait_for()
        # The browser itself ends it, so that its push service takes nothing more.
        await terminal.wait_for_function(f"() => {SUBSCRIBED} === null")


async def test_another_owner_who_signs_in_on_a_device_ends_what_the_one_before_was_told(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as shared:
        await subscribed(shared, store)
        keys = TokenKeys({"local": store.site.keys.token.encode()}, "local", time.time)
        token = keys.sign(Caller("another", "owner", frozenset({store.id})), 3600)
        other = await opened(shared, f"{store.site.stack.core_url}/terminal#token={token}")
        await other.wait_for_function(f"() => {SUBSCRIBED} === null")
        await other.locator("#open-kitchen").click()
        await expect(other.locator("#phone-push")).to_have_attribute("aria-pressed", "false")


async def test_where_there_is_no_room_a_device_says_so_and_nothing_is_left_of_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        await let_subscribe(owner)
        terminal = await opened(owner, store.terminal_url)
        full = "**/v1/stores/*/pushes/*"
        await owner.route(full, lambda route: route.fulfill(status=409, json={}))
        await terminal.locator("#open-kitchen").click()
        await terminal.locator("#phone-push").click()
        part = terminal.locator("[data-part=phone]")
        await expect(part.get_by_role("alert")).to_contain_text("Too many devices")
        assert await terminal.evaluate(SUBSCRIBED) is None


async def test_a_page_that_stays_open_says_again_each_day_that_its_device_is_told(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        await owner.add_init_script(DAILY)
        terminal = await subscribed(owner, store)
        (before,) = await told_devices(store)
        async with terminal.expect_response("**/v1/stores/*/pushes/*"):
            await terminal.evaluate("daily()")
        (after,) = await told_devices(store)
        assert after["renewed_at"] > before["renewed_at"]


async def test_with_each_new_token_a_device_says_again_that_it_is_told(
    site: Site, store: Store, browser: Browser
) -> None:
    # What is told ends with the token by which Core knows it.
    async with device(browser, workers="allow") as owner:
        terminal = await subscribed(owner, store)
        (before,) = await told_devices(store)
        fresh = site.token("owner", store.id, lifetime_s=7200)
        async with terminal.expect_response("**/v1/stores/*/pushes/*") as told:
            await terminal.goto(store.terminal_url.partition("#")[0] + f"#token={fresh}")
        said = (await told.value).request.headers["authorization"]
        assert said == f"Bearer {fresh}"
        (after,) = await told_devices(store)
        assert after["renewed_at"] > before["renewed_at"]


async def test_a_device_that_the_browser_lets_not_be_told_says_why(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        await owner.add_init_script('Notification.requestPermission = async () => "denied";')
        terminal = await opened(owner, store.terminal_url)
        await terminal.locator("#open-kitchen").click()
        await terminal.locator("#phone-push").click()
        part = terminal.locator("[data-part=phone]")
        await expect(part.get_by_role("alert")).to_contain_text("The browser blocks notifications")
        assert await told_devices(store) == []


async def test_a_push_is_a_notification_with_the_number_of_orders_in_the_place_of_the_one_before(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.wait_for_function("() => navigator.serviceWorker.controller !== null")
        (worker,) = owner.service_workers
        await worker.evaluate(
            """() => {
                globalThis.shown = [];
                registration.showNotification = async (title, { body, tag }) => {
                    shown.push([title, body, tag]);
                };
            }"""
        )
        for told in (
            PushMessage("12", 1, "en"),
            PushMessage("12", 3, "en"),
            PushMessage("12", 3, "ko"),
        ):
            await push(terminal, told)
        async with asyncio.timeout(20):
            while len(shown := await worker.evaluate("shown")) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert shown == [
            ["1 new order", "Store 12", "orders-12"],
            ["3 new orders", "Store 12", "orders-12"],
            ["새 주문 3건", "매장 12", "orders-12"],
        ]


async def test_a_press_on_a_notification_brings_the_terminal_back(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.wait_for_function("() => navigator.serviceWorker.controller !== null")
        (worker,) = owner.service_workers
        # A browser lets a worker do either only after a real press.
        done = await worker.evaluate(
            """async () => {
                const done = [];
                WindowClient.prototype.focus = async function () {
                    done.push(["focus", new URL(this.url).pathname]);
                };
                clients.openWindow = async (path) => { done.push(["open", path]); };
                const notification = { close: () => done.push(["close"]) };
                const press = async () => {
                    const event = Object.assign(new Event("notificationclick"), { notification });
                    const waits = [];
                    event.waitUntil = (work) => waits.push(work);
                    dispatchEvent(event);
                    await Promise.all(waits);
                };
                await press();
                clients.matchAll = async () => [];
                await press();
                return done;
            }"""
        )
        assert done == [
            ["close"],
            ["focus", "/terminal"],
            ["close"],
            ["open", "/terminal"],
        ]


REPLACED = """async () => {
    const event = new Event("pushsubscriptionchange");
    const waits = [];
    event.waitUntil = (work) => waits.push(work);
    dispatchEvent(event);
    await Promise.all(waits);
}"""
"""What a browser does in a worker when it has replaced its subscription."""


async def test_a_subscription_that_the_browser_has_replaced_is_told_to_core_by_the_open_terminal(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await subscribed(owner, store)
        (before,) = await told_devices(store)
        (worker,) = owner.service_workers
        async with terminal.expect_response("**/v1/stores/*/pushes/*"):
            await worker.evaluate(REPLACED)
        (after,) = await told_devices(store)
        assert after["renewed_at"] > before["renewed_at"]


async def test_where_no_terminal_is_open_the_owner_is_asked_to_open_one(
    store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.wait_for_function("() => navigator.serviceWorker.controller !== null")
        (worker,) = owner.service_workers
        await worker.evaluate(
            """() => {
                globalThis.shown = [];
                clients.matchAll = async () => [];
                registration.showNotification = async (title, { body }) => {
                    shown.push([title, body]);
                };
            }"""
        )
        await worker.evaluate(REPLACED)
        assert await worker.evaluate("shown") == [
            ["Open the terminal once", "So that this device is still notified of new orders."]
        ]
