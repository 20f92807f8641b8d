"""Events between the parts of a page and between tabs, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.module_page import MODULE, served

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served({"/static/yabam/": MODULE}) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="package")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context() as opened:
        yield opened


async def opened(context: BrowserContext, url: str, name: str = "kim") -> Page:
    """A tab with `events`, which notes in `heard` what it hears of `quiet`."""
    page = await context.new_page()
    await page.goto(url)
    await page.evaluate(
        """async (name) => {
            const { PageEvents } = await import("/static/yabam/page_events.js");
            window.events = new PageEvents(name);
            window.heard = [];
            window.raised = [];
            addEventListener("error", ({ error }) => window.raised.push(error.message));
            window.end = events.subscribe("quiet", (detail, { own }) => heard.push([detail, own]));
        }""",
        name,
    )
    return page


async def heard(page: Page, count: int) -> Any:
    """What the tab has heard, once it is so much."""
    await page.wait_for_function("(count) => heard.length >= count", arg=count)
    return await page.evaluate("heard")


async def test_an_event_is_heard_in_its_tab_before_publish_returns_and_in_the_others(
    context: BrowserContext, url: str
) -> None:
    one, other = await opened(context, url), await opened(context, url)
    script = "() => { events.publish('quiet', { on: true }); return [...heard]; }"
    assert await one.evaluate(script) == [[{"on": True}, True]]
    assert await heard(other, 1) == [[{"on": True}, False]]


async def test_who_follows_something_else_hears_nothing(context: BrowserContext, url: str) -> None:
    one, stranger = await opened(context, url), await opened(context, url, "lee")
    friend = await opened(context, url)
    await one.evaluate("() => { events.publish('loud', 1); events.publish('quiet', 2); }")
    assert await heard(friend, 1) == [[2, False]]
    assert await heard(stranger, 0) == []


async def test_a_part_that_fails_keeps_the_event_from_no_other(
    context: BrowserContext, url: str
) -> None:
    page = await opened(context, url)
    found = await page.evaluate(
        """() => {
            const later = [];
            events.subscribe("quiet", () => { throw new Error("a bug"); });
            events.subscribe("quiet", (detail) => later.push(detail));
            events.publish("quiet", 1);
            return [later, raised];
        }"""
    )
    assert found == [[1], ["a bug"]]


async def test_each_part_has_a_copy_of_its_own(context: BrowserContext, url: str) -> None:
    page = await opened(context, url)
    found = await page.evaluate(
        """() => {
            events.subscribe("quiet", (detail) => detail.push("spoiled"));
            events.subscribe("quiet", (detail) => heard.push(detail));
            const told = ["on"];
            events.publish("quiet", told);
            return [heard.at(-1), told];
        }"""
    )
    assert found == [["on"], ["on"]]


async def test_who_has_left_hears_nothing_more(context: BrowserContext, url: str) -> None:
    one, other = await opened(context, url), await opened(context, url)
    await other.evaluate("() => { end(); events.subscribe('last', () => heard.push('last')); }")
    await one.evaluate("() => { events.publish('quiet', 1); events.publish('last'); }")
    assert await heard(other, 1) == ["last"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("events.publish('two words')", "an event's name must be 1 to 64 of A-Z a-z 0-9 _ . -"),
        ("events.subscribe('', () => {})", "an event's name must be 1 to 64 of A-Z a-z 0-9 _ . -"),
        ("events.publish('quiet', () => {})", "an event's detail must be JSON"),
        (
            "events.publish('quiet', 'x'.repeat(65_535))",
            "an event may have at most 65536 characters as JSON, this has 65537",
        ),
        ("(events.close(), events.publish('quiet'))", "the client is closed"),
    ],
)
async def test_what_no_event_may_be_is_refused_with_the_reason(
    context: BrowserContext, url: str, script: str, why: str
) -> None:
    page = await opened(context, url)
    found = await page.evaluate(
        f"() => {{ try {{ {script}; }} catch (error) {{ return [error.name, error.message]; }} }}"
    )
    assert found == ["TypeError", why]
    assert await heard(page, 0) == []
