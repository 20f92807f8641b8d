"""The ops page with made-up figures: its texts and buttons, pictures, checks with axe-core."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from core_api.dashboard.figures import Figures
from core_api.dashboard.waiting import Contact, LateStore
from tests.browser.accessibility import SCHEMES, SIDEWAYS, shots, violations_in
from tests.browser.ops_desk import (
    NOW_MS,
    OpsDesk,
    a_day,
    figures_of,
    ops_desk,
    process,
    well,
    with_faults,
)
from tests.browser.restaurant import PAGES, SHOTS, device
from tests.integration.core_service import token

pytestmark = PAGES
SIZES = {360: (360, 740), 800: (800, 1280), 1280: (1280, 800), 3840: (3840, 2160)}
CUT = """[...document.querySelectorAll(".panel")]
    .filter((panel) => panel.scrollWidth > panel.clientWidth).map((panel) => panel.textContent)"""
STATES: dict[str, Callable[[], Figures]] = {"well": well, "faults": with_faults}
STORE = LateStore("unaccepted", "12", 1, 400.0, "01A", Contact("Kim", "+82 2-555-0100"))


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def running() -> AsyncIterator[OpsDesk]:
    async with ops_desk() as desk:
        yield desk


@pytest.fixture
def desk(running: OpsDesk) -> OpsDesk:
    """As nobody has used it."""
    running.figures, running.day, running.grafana = well(), [], ""
    running.acknowledged, running.refuses, running.is_away = [], "", False
    return running


@asynccontextmanager
async def looking(
    desk: OpsDesk, browser: Browser, size: tuple[int, int] = SIZES[1280], locale: str = "en-US"
) -> AsyncIterator[Page]:
    """The page with the desk's figures on it."""
    async with device(browser, size, locale) as guest:
        page = await guest.new_page()
        await page.goto(f"{desk.url}/ops#token={token('ops')}")
        await expect(page.locator("#figures")).to_be_visible()
        yield page


def verdict(page: Page) -> Locator:
    return page.locator("#verdict p")


class TestTheVerdict:
    async def test_it_says_that_all_is_well(self, desk: OpsDesk, browser: Browser) -> None:
        async with looking(desk, browser) as page:
            await expect(verdict(page)).to_have_text("All well")
            await expect(verdict(page)).to_have_attribute("data-level", "green")
            await expect(page.locator("#alerts li")).to_have_count(0)

    async def test_a_dead_process_is_named_with_its_kind_and_since_when(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(process("events-1:8001", "events", down="refused"))
        async with looking(desk, browser) as page:
            await expect(verdict(page)).to_have_text(
                re.compile(
                    r"^Orders late: Event server events-1:8001 down since .*\d\d:\d\d, "
                    r"and no other is ready What to do"
                )
            )
            row = page.locator("#nodes tbody tr", has_text="events-1:8001")
            await expect(row).to_contain_text("Event server")
            await expect(page.locator('[data-figure="connections"]')).to_have_attribute(
                "data-level", "red"
            )

    async def test_without_a_connection_it_is_not_known_and_the_figures_are_of_before(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        async with looking(desk, browser) as page:
            await expect(verdict(page)).to_have_text("All well")
            desk.go_away()
            await expect(verdict(page)).to_contain_text(
                "Not known: no connection to the server · these are the figures of"
            )
            await expect(page.locator('[data-figure="connections"] .value')).to_have_text("196")

    async def test_what_to_do_leads_to_the_entry_of_the_runbook(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(process("events-1:8001", "events", down="refused"))
        async with looking(desk, browser) as page, page.context.expect_page() as opening:
            await verdict(page).get_by_role("link").click()
            runbook = await opening.value
            await expect(runbook.locator("h2:target")).to_have_text("No event server is ready")
            await expect(runbook.locator("h2:target")).to_be_in_viewport()

    async def test_stores_that_have_not_received_are_told_apart_from_those_that_have_not_accepted(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        stores = [LateStore("unaccepted", str(n), 1, 400.0, "01A") for n in range(2)]
        desk.figures = figures_of(*well_processes(), late=[*stores, unreceived("9")])
        async with looking(desk, browser) as page:
            await expect(verdict(page)).to_contain_text(
                "Phone the stores: 1 store has not received an order · 2 stores have not accepted"
            )


class TestSeeingToIt:
    async def test_an_alert_is_shown_with_who_sees_to_it(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(process("events-1:8001", "events", down="refused"))
        async with looking(desk, browser) as page:
            alert = page.locator("#alerts li", has_text="events-1:8001")
            await alert.get_by_role("button", name="Acknowledge").click()
            await expect(alert).to_contain_text("✓ ops-7")
            assert desk.acknowledged == ["down:events-1:8001"]

    async def test_a_refusal_is_told(self, desk: OpsDesk, browser: Browser) -> None:
        desk.figures = figures_of(process("events-1:8001", "events", down="refused"))
        desk.refuses = "it may have ended"
        async with looking(desk, browser) as page:
            await page.get_by_role("button", name="Acknowledge").first.click()
            await expect(page.get_by_role("alert")).to_have_text(
                "Not acknowledged: it may have ended"
            )

    async def test_of_a_store_with_both_troubles_both_are_seen_to(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(*well_processes(), late=[unreceived("12"), STORE])
        async with looking(desk, browser) as page:
            await page.locator("#late tbody tr").get_by_role("button", name="Acknowledge").click()
            await expect(page.locator("#alerts")).to_contain_text("all acknowledged")
            assert desk.acknowledged == ["unreceived:12", "unaccepted:12"]

    async def test_what_has_the_focus_keeps_it_while_figures_come(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(*well_processes(), late=[STORE])
        async with looking(desk, browser) as page:
            button = page.locator("#late").get_by_role("button", name="Acknowledge")
            await button.focus()
            later = LateStore("unaccepted", "12", 2, 460.0, "01A", STORE.contact)
            desk.show(figures_of(*well_processes(), late=[later], at_ms=NOW_MS + 60_000))
            await expect(page.locator("#late tbody tr")).to_contain_text("7 min")
            await expect(button).to_be_focused()

    async def test_a_store_that_takes_the_place_of_another_takes_no_press_of_it(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(*well_processes(), late=[STORE])
        async with looking(desk, browser) as page:
            pressed = await page.get_by_role("button", name="Acknowledge").element_handle()
            desk.show(figures_of(*well_processes(), late=[unreceived("99")]))
            await expect(page.locator("#late tbody tr")).to_contain_text("99")
            assert pressed is not None
            assert not await pressed.evaluate("button => button.isConnected")


class TestStores:
    async def test_a_stores_name_and_number_stand_beside_it(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = figures_of(*well_processes(), late=[STORE, unreceived("13")])
        async with looking(desk, browser) as page:
            row = page.locator("#late tbody tr", has_text="Kim")
            number = row.get_by_role("link", name="+82 2-555-0100")
            await expect(number).to_have_attribute("href", "tel:+8225550100")
            other = page.locator("#late tbody tr", has_text="13")
            await expect(other).to_contain_text("not stored")


class TestCharts:
    async def test_a_day_is_shown_that_nobody_watched(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.day = a_day()
        async with looking(desk, browser) as page:
            chart = page.locator('[data-figure="connections"] svg')
            await expect(chart).to_have_attribute("aria-label", re.compile("last minutes: 1"))
            await page.get_by_role("radio", name="1 day").check()
            await expect(chart).to_have_attribute(
                "aria-label", "Connections of the last day: 100 to 196"
            )
            line = await chart.locator(".line").nth(1).get_attribute("d")
            assert line is not None
            assert line.count("M") == 2, "the hour of which nothing is known is no line"

    async def test_grafana_is_linked_where_it_is(self, desk: OpsDesk, browser: Browser) -> None:
        async with looking(desk, browser) as page:
            await expect(page.locator("#grafana")).to_be_hidden()
        desk.grafana = "https://grafana.example/d/yabam"
        async with looking(desk, browser) as page:
            await expect(page.get_by_role("link", name="Grafana")).to_have_attribute(
                "href", desk.grafana
            )


class TestLooks:
    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("width", SIZES)
    async def test_it_fits_the_screen(
        self, desk: OpsDesk, browser: Browser, width: int, state: str
    ) -> None:
        desk.figures, desk.day, desk.grafana = STATES[state](), a_day(), "https://grafana.example"
        async with looking(desk, browser, SIZES[width]) as page:
            # The verdict is seen without scrolling.
            await expect(verdict(page)).to_be_in_viewport()
            await page.get_by_role("radio", name="1 day").check()
            assert await page.evaluate(SIDEWAYS) == 0
            assert await page.evaluate(CUT) == [], "a panel cuts off what is in it"
            await page.evaluate("scrollTo(0, 0)")
            SHOTS.mkdir(parents=True, exist_ok=True)
            await page.screenshot(
                path=SHOTS / f"ops-{width}-{state}.png", full_page=width < SIZES[3840][0]
            )

    async def test_twice_as_large_nothing_goes_sideways_and_nothing_moves_for_who_wants_that(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        desk.figures = with_faults()
        # A window of 1280 × 800 at 200 % has so many pixels of the page's.
        async with looking(desk, browser, (640, 400)) as page:
            await page.emulate_media(reduced_motion="reduce")
            await expect(page.locator("#late tbody tr")).to_have_count(3)
            assert await page.evaluate(SIDEWAYS) == 0
            assert await page.evaluate("document.getAnimations().length") == 0

    async def test_in_forced_colours_the_verdict_has_a_mark(
        self, desk: OpsDesk, browser: Browser
    ) -> None:
        async with looking(desk, browser) as page:
            await page.emulate_media(forced_colors="active")
            await expect(verdict(page)).to_have_text("All well")
            mark = await verdict(page).evaluate("(e) => getComputedStyle(e, '::before').content")
            assert mark == '"✓ "'

    @pytest.mark.parametrize("locale", SCHEMES)
    async def test_axe_finds_nothing_wrong(
        self, desk: OpsDesk, browser: Browser, locale: str
    ) -> None:
        schemes = SCHEMES[locale]
        desk.grafana = "https://grafana.example"
        async with looking(desk, browser, SIZES[1280], locale) as page:
            found = {"well": await violations_in(page, schemes)}
            desk.show(with_faults())
            await expect(page.locator("#late tbody tr")).to_have_count(3)
            found["faults"] = await violations_in(page, schemes)
            await shots(page, f"ops-axe-{locale}", schemes, full_page=True)
            await page.set_viewport_size({"width": 360, "height": 740})
            found["phone"] = await violations_in(page, schemes)
            desk.go_away()
            await expect(page.locator("#ops")).to_have_class("stale")
            found["stale"] = await violations_in(page, schemes)
            await page.goto(f"{desk.url}/runbook#kafka")
            found["runbook"] = await violations_in(page, schemes)
        assert found == {state: {"light": [], "dark": []} for state in found}


def unreceived(store: str) -> LateStore:
    return LateStore("unreceived", store, 1, 500.0, "01B")


def well_processes() -> list[Any]:
    return [process("events-1:8001", "events", yabam_events_streams_open_count=196.0)]
