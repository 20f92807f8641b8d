"""Hasty taps on the terminal: a second tap does nothing, every step can be undone."""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.restaurant import PAGES, SIZES, Store, card, device, opened, press, still

pytestmark = PAGES

STILL_MS: Final = 600
NEAR_PX: Final = 48
"""As the page's `stillness.js` has them."""
LOOKS_UP: Final = 0.1
_NOTE_TAPS: Final = """() => {
    window.taps = [];
    addEventListener("pointerdown", (event) => window.taps.push(event.timeStamp), true);
}"""


_PLACES: Final = """() => [...document.querySelectorAll(".card")].map((e) => {
    const { left, top, width, height } = e.getBoundingClientRect();
    return [e.dataset.press, left, top, width, height];
})"""


async def centre(button: Locator) -> tuple[float, float]:
    """The middle of a button, on the screen."""
    await button.scroll_into_view_if_needed()
    box = await button.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def tap_twice(page: Page, button: Locator, apart_ms: int) -> float:
    """Two taps on the place where the button is. Returns how many milliseconds lay between them."""
    await page.evaluate(_NOTE_TAPS)
    x, y = await centre(button)
    await page.mouse.click(x, y)
    await page.wait_for_timeout(apart_ms)
    await page.mouse.click(x, y)
    first, second = await page.evaluate("window.taps")
    return float(second - first)


async def settled(page: Page) -> None:
    """Return once the board stands still, and Core has answered all."""
    await still(page)
    await expect(page.locator(".sending-note")).to_have_count(0)


@pytest.mark.parametrize("apart_ms", [120, 250, 400])
async def test_two_taps_on_accept_accept_one_order(
    store: Store, browser: Browser, apart_ms: int
) -> None:
    async with device(browser, touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        for _ in range(5):
            orders = [await store.place() for _ in range(3)]
            await expect(card(terminal, orders[-1])).to_be_visible()
            await still(terminal)
            button = card(terminal, orders[0]).locator('[data-to="accepted"]')
            gap = await tap_twice(terminal, button, apart_ms)
            await settled(terminal)
            if gap < STILL_MS:
                break
            for order in await store.open_orders():
                await store.step(order, "cancelled")
            await expect(terminal.locator('[data-column="new"] .card')).to_have_count(0)
        else:
            pytest.fail("this machine never tapped twice in time")
        assert [await store.events(order["id"]) for order in orders] == [
            ["order.placed", "order.accepted"],
            ["order.placed"],
            ["order.placed"],
        ]


@pytest.mark.parametrize("apart_ms", [120, 250, 400])
async def test_two_taps_on_start_start_and_make_nothing_ready(
    store: Store, browser: Browser, apart_ms: int
) -> None:
    async with device(browser, touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        for _ in range(5):
            order = await store.step(await store.place(), "accepted")
            await card(terminal, order).locator('[data-to="preparing"]').wait_for()
            await still(terminal)
            button = card(terminal, order).locator('[data-to="preparing"]')
            gap = await tap_twice(terminal, button, apart_ms)
            await settled(terminal)
            if gap < STILL_MS:
                break
        else:
            pytest.fail("this machine never tapped twice in time")
        assert await store.events(order["id"]) == [
            "order.placed", "order.accepted", "order.preparing",
        ]  # fmt: skip


async def test_nothing_moves_while_a_finger_is_on_the_screen(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        first, second = [await store.place(table_id=table) for table in ("1", "2")]
        await card(terminal, second).wait_for()
        await still(terminal)
        button = card(terminal, second).locator('[data-to="accepted"]')
        x, y = await centre(button)
        before = await terminal.evaluate(_PLACES)
        await terminal.mouse.move(x, y)
        await terminal.mouse.down()
        await store.step(first, "rejected")
        third = await store.place(table_id="3")
        # What is new comes behind all others; what is gone waits.
        await card(terminal, third).wait_for()
        now = await terminal.evaluate(_PLACES)
        assert now[: len(before)] == before
        await terminal.mouse.up()
        await settled(terminal)
        await expect(card(terminal, second)).to_have_attribute("data-status", "accepted")
        assert (await store.read(third["id"]))["status"] == "placed"


async def test_a_step_can_be_undone_at_once_and_the_guest_is_told(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner, device(browser, SIZES["phone"]) as guest:
        terminal = await opened(owner, store.terminal_url)
        table = await opened(guest, store.table_url("5"))
        order = await store.place()
        await press(terminal, order, "accepted")
        await expect(table.locator(".order")).to_have_attribute("data-status", "accepted")
        await still(terminal)
        await terminal.locator("#undo").get_by_role("button", name="Undo").click()
        await expect(table.locator(".order")).to_have_attribute("data-status", "placed")
        await settled(terminal)
        where = terminal.locator('.column[data-column="new"] .card')
        await expect(where).to_have_count(1)
        assert await store.events(order["id"]) == [
            "order.placed", "order.accepted", "order.recalled",
        ]  # fmt: skip


async def test_undo_takes_back_nothing_that_somebody_else_has_done(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await press(terminal, order, "accepted")
        await settled(terminal)
        await store.step(await store.read(order["id"]), "cancelled")
        await expect(card(terminal, order)).to_have_attribute("data-status", "cancelled")
        await terminal.keyboard.press("u")
        await expect(terminal.locator(".toast")).to_contain_text("Somebody else has changed it")
        assert (await store.read(order["id"]))["status"] == "cancelled"


async def test_a_rejection_can_be_undone(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await press(terminal, order, "rejected")
        await terminal.get_by_role("radio", name="Sold out").check()
        await terminal.locator("#reason").get_by_role("button", name="Reject order").click()
        await expect(card(terminal, order)).to_have_attribute("data-status", "rejected")
        await settled(terminal)
        await terminal.keyboard.press("u")
        await expect(card(terminal, order)).to_have_attribute("data-status", "placed")
        await settled(terminal)
        stored = await store.read(order["id"])
        assert (stored["status"], stored["reason"], stored["open"]) == ("placed", None, True)


async def test_a_step_that_waits_for_the_network_can_be_undone_too(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await terminal.route("**/transitions", lambda route: route.abort())
        await press(terminal, order, "accepted")
        await expect(card(terminal, order).locator(".retrying")).to_have_count(1)
        await still(terminal)
        await terminal.keyboard.press("u")
        await expect(card(terminal, order)).to_have_attribute("data-status", "placed")
        await terminal.unroute("**/transitions")
        await settled(terminal)
        await expect(card(terminal, order)).to_have_attribute("data-status", "placed")
        assert (await store.read(order["id"]))["status"] == "placed"


async def test_every_step_is_taken_back_later_on_its_card(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        for to in ("accepted", "preparing", "ready", "served", "paid"):
            order = await store.step(order, to)
        other = await store.place()
        await card(terminal, other).wait_for()
        order = await store.place()
        for to in ("accepted", "preparing", "ready", "served", "paid"):
            order = await store.step(order, to)
        for back in ("served", "ready", "preparing", "accepted", "placed"):
            await still(terminal)
            await card(terminal, order).locator(f'[data-back="{back}"]').click()
            await expect(card(terminal, order)).to_have_attribute("data-status", back)
            await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)
        stored = await store.read(order["id"])
        assert (stored["status"], stored["version"]) == ("placed", 11)


_OFFERED: Final = """() => ({
    served: document.querySelectorAll('.card[data-status="served"]').length,
    offered: [...document.querySelectorAll(".card .step.main")]
        .filter((b) => b.dataset.to !== "paid" && b.checkVisibility())
        .map((b) => {
            const { left, top, width, height } = b.getBoundingClientRect();
            const [x, y] = [left + width / 2, top + height / 2];
            const isSeen = b.contains(document.elementFromPoint(x, y));
            return { id: b.closest(".card").dataset.press, to: b.dataset.to, x, y, isSeen };
        })
        .filter(({ isSeen }) => isSeen),
})"""


class Hand:
    """Where a hand has pressed of late: neither there nor on that order is a press taken yet."""

    def __init__(self) -> None:
        self._presses: list[tuple[float, dict[str, Any]]] = []

    def free(self, offered: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What can be pressed now."""
        since = time.monotonic() - STILL_MS / 1000
        self._presses = [(at, press) for at, press in self._presses if at > since]
        return [one for one in offered if not any(_meets(one, by) for _, by in self._presses)]

    async def rest(self) -> None:
        """Wait until one more can be pressed."""
        since = self._presses[0][0] if self._presses else time.monotonic()
        await asyncio.sleep(max(0.02, since + STILL_MS / 1000 - time.monotonic()))

    def pressed(self, wish: dict[str, Any]) -> None:
        """Note a press that has just been made."""
        self._presses.append((time.monotonic(), wish))


def _meets(one: dict[str, Any], other: dict[str, Any]) -> bool:
    apart = math.hypot(one["x"] - other["x"], one["y"] - other["y"])
    return bool(one["id"] == other["id"] or apart <= NEAR_PX)


async def work_through(terminal: Page, store: Store, orders: int, seed: int) -> list[set[str]]:
    """Tap twice on what cards offer, by chance and as fast as the page allows, until all is served.

    Returns:
        For each order the steps that nobody meant.
    """
    chance = random.Random(seed)
    meant: dict[str, set[str]] = {}
    hand = Hand()
    while (now := await terminal.evaluate(_OFFERED))["served"] < orders:
        free = hand.free(now["offered"])
        if not free:
            await hand.rest()
            continue
        wish = chance.choice(free)
        meant.setdefault(wish["id"], set()).add(f"order.{wish['to']}")
        for pause in (chance.choice((0, 60, 120)), 0):
            await terminal.mouse.click(wish["x"], wish["y"])
            if pause > 0:
                await terminal.wait_for_timeout(pause)
        hand.pressed(wish)
        # Mostly the next order comes at once; now and then somebody looks up.
        if chance.random() < LOOKS_UP:
            await still(terminal)
    await settled(terminal)
    return [set(await store.events(one)) - {"order.placed"} - meant[one] for one in meant]


async def test_a_rush_is_worked_through_with_double_taps_and_no_wrong_press(
    store: Store, browser: Browser
) -> None:
    async with device(browser, (1280, 800), touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)

        async def arrive() -> list[dict[str, Any]]:
            placed = []
            for table in range(8):
                placed.append(await store.place(table_id=str(table)))
                await asyncio.sleep(0.4)
            return placed

        arriving = asyncio.create_task(arrive())
        wrong = await work_through(terminal, store, 8, seed=7)
        placed = await arriving
        assert wrong == [set()] * 8, "a step that no tap was meant for"
        for order in placed:
            steps = await store.events(order["id"])
            assert len(steps) == len(set(steps)), "a step that was taken twice"
            assert steps[-1] == "order.served"


async def test_a_dialog_does_not_take_the_second_tap(store: Store, browser: Browser) -> None:
    async with device(browser, SIZES["phone"], touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        # Its own button comes to stand where the finger is.
        await terminal.evaluate(
            """() => addEventListener("click", ({ clientX, clientY }) => {
                const { style } = document.querySelector("#reason button[value=ok]");
                style.position = "fixed";
                style.left = `${clientX - 40}px`;
                style.top = `${clientY - 22}px`;
            })"""
        )
        for _ in range(5):
            await still(terminal)
            reject = card(terminal, order).locator('[data-to="rejected"]')
            gap = await tap_twice(terminal, reject, 120)
            if gap < STILL_MS:
                break
            await terminal.keyboard.press("Escape")
            order = await store.place()
            await card(terminal, order).wait_for()
        else:
            pytest.fail("this machine never tapped twice in time")
        await expect(terminal.locator("#reason")).to_be_visible()
        assert (await store.read(order["id"]))["status"] == "placed"
