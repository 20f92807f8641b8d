"""The guests of one table with the whole system: one cart for all phones, the end of a visit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from client_sdk.contract.channel import Channel
from core_api.documents.refusals import CallRefusedError
from core_api.documents.table_documents import CART, give_back, take
from tests.browser.restaurant import PAGES, SIZES, Site, Store, device, lit, opened
from tests.browser.test_table_page import fill_the_cart, order_from_the_menu

pytestmark = PAGES
PHONE = SIZES["phone"]


async def a_phone(context: BrowserContext, store: Store, name: str) -> Page:
    """A guest's phone at table 5, whose cart lines are under this name."""
    # An empty page, which a tab begins with, has no storage.
    named = f"localStorage['yabam.guest.name'] ??= {name!r}"
    await context.add_init_script(f"try {{ {named} }} catch {{}}")
    return await opened(context, store.table_url("5"))


async def cart_of(store: Store) -> dict[str, Any]:
    value = (await store.document(f"party:{store.id}/5", "cart"))["value"]
    return dict(value or {"lines": {}})


async def test_all_phones_at_the_table_fill_one_cart_and_see_who_added_what(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as first, device(browser, PHONE) as second:
        kim, lee = await a_phone(first, store, "Kim"), await a_phone(second, store, "Lee")
        await kim.locator(".dish").nth(0).get_by_role("button", name="One more").click()
        await lee.locator(".dish").nth(1).get_by_role("button", name="One more").click()
        for phone in (kim, lee):
            await expect(phone.locator("#cart-open-text")).to_have_text("Cart 2")
            await phone.locator("#cart-open").click()
            await expect(phone.locator("#cart-lines li")).to_have_count(2)
            await expect(phone.locator("#cart-lines li").nth(0)).to_contain_text("Kim · ₩9,000")
            await expect(phone.locator("#cart-lines li").nth(1)).to_contain_text("Lee · ₩9,500")
        await expect(kim.locator(".dish").nth(1).locator(".others")).to_contain_text("Lee 1")


async def test_a_phone_without_a_network_fills_the_cart_and_it_is_all_there_afterwards(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as first, device(browser, PHONE) as second:
        kim, lee = await a_phone(first, store, "Kim"), await a_phone(second, store, "Lee")
        await first.set_offline(True)
        await fill_the_cart(kim)
        await lee.locator(".dish").nth(0).get_by_role("button", name="One more").click()
        await expect(lee.locator("#cart-open-text")).to_have_text("Cart 1")
        await first.set_offline(False)
        for phone in (kim, lee):
            await expect(phone.locator("#cart-open-text")).to_have_text("Cart 4")


def held_until(go: asyncio.Event) -> Callable[[Route], Awaitable[None]]:
    """Holds what is requested until it may go."""

    async def hold(route: Route) -> None:
        await go.wait()
        await route.continue_()

    return hold


async def test_two_phones_that_order_at_once_order_the_cart_once(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as first, device(browser, PHONE) as second:
        kim, lee = await a_phone(first, store, "Kim"), await a_phone(second, store, "Lee")
        await fill_the_cart(kim)
        await expect(lee.locator("#order")).to_contain_text("3")
        # Both have pressed before either is answered.
        held = {kim: asyncio.Event(), lee: asyncio.Event()}
        for phone, go in held.items():
            await phone.route("**/v1/edits", held_until(go))
            await phone.locator("#order").click()
            await expect(phone.locator("#order")).to_be_disabled()
        for phone, go in held.items():
            go.set()
            await expect(phone.locator("#orders .order")).to_have_count(1)
            await expect(phone.locator("#cart")).to_be_hidden()
        await expect(lee.locator(".toast")).to_contain_text("Another phone was first")
        (order,) = await store.open_orders()
        assert sum(item["quantity"] for item in order["items"]) == 3
        assert await cart_of(store) == {"lines": {}}


async def test_an_order_that_was_begun_before_the_page_was_closed_is_placed_once(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await a_phone(guest, store, "Kim")
        await fill_the_cart(table)
        await table.route("**/v1/orders", lambda route: route.abort())
        await table.locator("#order").click()
        await expect(table.locator("#order")).to_be_disabled()
        while "orders" not in await cart_of(store):
            await table.wait_for_timeout(20)
        await table.reload()
        await lit(table, "live")
        await table.unroute("**/v1/orders")
        await expect(table.locator("#orders .order")).to_have_count(1)
        await expect(table.locator("#cart")).to_be_hidden()
        assert len(await store.open_orders()) == 1
        # Whoever looks again finds nothing left to order.
        await table.reload()
        await lit(table, "live")
        await expect(table.locator("#orders .order")).to_have_count(1)
        assert len(await store.open_orders()) == 1


async def test_a_dish_has_a_note_of_its_own(store: Store, browser: Browser) -> None:
    async with device(browser, PHONE) as guest:
        table = await a_phone(guest, store, "Kim")
        dish = table.locator(".dish").nth(0)
        await dish.get_by_role("button", name="One more").click()
        await table.locator("#cart-open").click()
        await table.locator(".note-button").click()
        await table.locator(".ask input").fill("not spicy")
        await table.locator(".ask").get_by_role("button", name="Save").click()
        await expect(table.locator(".note-button")).to_contain_text("not spicy")
        await table.locator("#cart-close").click()
        # One more is another one: the note was for the first.
        await dish.get_by_role("button", name="One more").click()
        await expect(table.locator("#order")).to_contain_text("2")
        await table.locator("#order").click()
        await expect(table.locator("#orders .order")).to_have_count(1)
        (order,) = await store.open_orders()
        assert sorted((item["quantity"], item["note"]) for item in order["items"]) == [
            (1, ""),
            (1, "not spicy"),
        ]


async def test_a_visit_ends_with_the_party_and_its_link_shows_nothing_of_the_next(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as before, device(browser, PHONE) as after:
        link = store.table_url("5", age_s=60)
        table = await opened(before, link)
        await order_from_the_menu(table)
        await expect(table.locator("#orders .order")).to_have_count(1)
        await store.write(f"party:{store.id}/5", "party", {"merge": {"number": 1}})
        await expect(table.locator("#sign-in-error")).to_contain_text(
            "Your visit at this table has ended"
        )
        await expect(table.locator("#table")).to_be_hidden()
        kept = await table.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
        assert "Kimchi stew" not in kept
        assert await table.evaluate("indexedDB.databases()") == []
        later = await opened(after, store.table_url("5", age_s=-2))
        await store.place(items=[{"name": "Secret", "quantity": 1, "unit_price": 1}])
        await expect(later.locator("#orders")).to_contain_text("Secret")
        again = await before.new_page()
        await again.goto(link)
        await expect(again.locator("#sign-in-error")).to_contain_text("has ended")
        await expect(again.locator("body")).not_to_contain_text("Secret")


async def test_what_a_party_did_not_send_is_not_sent_by_the_next_link_in_its_browser(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as tablet:
        table = await opened(tablet, store.table_url("5", age_s=60))
        await table.route("**/v1/edits", lambda route: route.abort())
        await fill_the_cart(table)
        await store.write(f"party:{store.id}/5", "party", {"merge": {"number": 1}})
        await expect(table.locator("#sign-in-error")).to_contain_text("has ended")
        later = await opened(tablet, store.table_url("5", age_s=-2))
        # Edits go out in their order: what was kept would be there with the next party's own.
        await later.locator(".dish").nth(2).get_by_role("button", name="One more").click()
        while not (cart := await cart_of(store))["lines"]:
            await later.wait_for_timeout(20)
        assert [line["quantity"] for line in cart["lines"].values()] == [1]
        await expect(later.locator("#cart-open-text")).to_have_text("Cart 1")


async def test_the_bill_runs_and_is_split_alike_on_all_phones(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as first, device(browser, PHONE) as second:
        kim, lee = await a_phone(first, store, "Kim"), await a_phone(second, store, "Lee")
        await fill_the_cart(kim)
        await lee.locator(".dish").nth(2).get_by_role("button", name="One more").click()
        await expect(kim.locator("#order")).to_contain_text("4")
        await kim.locator("#order").click()
        for phone in (kim, lee):
            await expect(phone.locator("#bill-title")).to_have_text("Bill · ₩42,500")
            await phone.locator("#bill-title").click()
            await expect(phone.locator("#bill-people div")).to_have_text(
                ["Kim₩27,500", "Lee₩15,000"]
            )
        await kim.get_by_role("button", name="Split among one more").click()
        await expect(lee.locator("#ways")).to_have_text("Split equally: 2")
        await lee.get_by_role("button", name="Split among one more").click()
        for phone in (kim, lee):
            await expect(phone.locator("#bill-parts")).to_have_text("2 × ₩14,167 + 1 × ₩14,166")


async def order_one(page: Page, orders: int) -> None:
    """One of the first dish, in whatever language; there are so many orders afterwards."""
    await page.locator(".dish").first.locator("button").last.click()
    await expect(page.locator("#order")).to_contain_text("1")
    await page.locator("#order").click()
    await expect(page.locator("#orders .order")).to_have_count(orders)
    await expect(page.locator("#cart")).to_be_hidden()


async def test_a_phone_in_korean_orders_again_and_stands_on_the_bill_by_its_name(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE, "ko-KR") as guest:
        table = await opened(guest, store.table_url("5"))
        await table.evaluate("localStorage['yabam.guest.name'] = '호랑이'")
        await order_one(table, 1)
        await order_one(table, 2)
        assert len(await store.open_orders()) == 2
        await table.locator("#bill-title").click()
        await expect(table.locator("#bill-people div")).to_have_text(["호랑이₩18,000"])
        while await cart_of(store) != {"lines": {}}:
            await table.wait_for_timeout(20)


async def test_dishes_without_a_name_are_ordered_and_more_after_them(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await a_phone(guest, store, "Kim")
        party = f"party:{store.id}/5"
        for orders in (1, 2):
            await store.write(party, "cart", {"merge": {"lines": {"other.rice.0": NAMELESS}}})
            await expect(table.locator("#order")).to_contain_text("1")
            await table.locator("#order").click()
            await expect(table.locator("#orders .order")).to_have_count(orders)
            await expect(table.locator("#cart")).to_be_hidden()
        await table.locator("#bill-title").click()
        await expect(table.locator("#bill-people div")).to_have_text(["–₩2,000"])


async def test_the_staff_is_called_and_the_guest_sees_that_they_have_seen_it(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        table = await opened(guest, store.table_url("5"))
        await table.locator("#call").click()
        await table.locator(".ask").get_by_role("button", name="Water").click()
        await expect(table.locator("#bell-state")).to_have_text("The staff has been called.")
        party = f"party:{store.id}/5"
        bell = (await store.document(party, "bell"))["value"]
        assert (bell["rung"], bell["reason"]) == (1, "물 · Water")
        await store.write(party, "bell", {"call": {"name": "answer", "arguments": {"rung": 1}}})
        await expect(table.locator("#bell-state")).to_be_hidden()
        await expect(table.locator(".toast")).to_have_text("The staff has seen your call.")


async def test_another_tab_of_the_guest_knows_cores_time_too(
    site: Site, store: Store, browser: Browser
) -> None:
    table = Channel("table", store.id, "5")
    ends_soon = site.token("table", table=table, lifetime_s=590)
    async with device(browser, PHONE) as guest:
        for _ in range(2):
            tab = await opened(guest, f"{site.stack.core_url}/table#token={ends_soon}")
            await expect(tab.locator("#session")).to_contain_text("This code ends in 10 minutes")


NAMELESS = {"name": "Rice", "quantity": 1, "unit_price": 1000}
RICE = {"name": "Rice", "quantity": 2, "unit_price": 1000, "by": "Kim"}
TEA = {"name": "Tea", "quantity": 999, "unit_price": 2000}
FULL = {"lines": {"a.rice.0": RICE, "b.tea.0": TEA}}
TAKING = {"id": "o1", "by": "Kim", "note": "hot", "lines": {"a.rice.0": 2}}
TAKEN = take(FULL, TAKING)
ANEW = TAKEN | {"lines": {"a.rice.0": RICE, "b.tea.0": TEA}}
CALLED: list[tuple[str, Any, dict[str, Any]]] = [
    ("take", FULL, TAKING),
    ("take", FULL, TAKING | {"lines": {"a.rice.0": 1}}),
    ("take", FULL, TAKING | {"lines": {"gone": 1}}),
    ("take", FULL, TAKING | {"lines": {"gone": None}}),
    ("take", None, TAKING),
    ("take", TAKEN, TAKING),
    ("placed", TAKEN, {"id": "o1"}),
    ("placed", FULL, {"id": "o1"}),
    ("give-back", TAKEN, {"id": "o1"}),
    ("give-back", ANEW, {"id": "o1"}),
    ("give-back", take(FULL, TAKING | {"lines": {"b.tea.0": 999}}) | FULL, {"id": "o1"}),
    ("give-back", FULL, {"id": "o1"}),
    ("placed", give_back(TAKEN, {"id": "o1"}), {"id": "o1"}),
    ("placed", give_back(ANEW, {"id": "o1"}), {"id": "o1"}),
    ("placed", give_back(TAKEN, {"id": "o1"}), {"id": "o2"}),
    ("take", give_back(TAKEN, {"id": "o1"}), TAKING | {"id": "o2"}),
]


async def test_a_phone_shows_at_once_what_core_makes_of_a_call(
    store: Store, browser: Browser
) -> None:
    async with device(browser, PHONE) as guest:
        page = await guest.new_page()
        await page.goto(f"{store.site.stack.core_url}/table")
        shown = await page.evaluate(
            """async (cases) => {
                const { CALLS } = await import("/static/table/cart/predictions_and_sums.js");
                return cases.map(([name, value, given]) => {
                    try {
                        return CALLS.cart[name](value, given);
                    } catch {
                        return "refused";
                    }
                });
            }""",
            CALLED,
        )
    assert shown == [made(*case) for case in CALLED]


def made(name: str, value: Any, given: dict[str, Any]) -> Any:
    try:
        return CART.calls[name](value, given)
    except CallRefusedError:
        return "refused"
