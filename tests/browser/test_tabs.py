"""Several tabs of one browser share one client, and nothing is lost when the leading tab closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.module_page import BENCH, served_joined, until
from tests.conformance.cases import Json, event, response

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("module-shell")]

A1: Final = "2b2c40a6706d9e5f"
FIRST: Final = response(
    {
        "channels": [
            {
                "reset": "first_sync",
                "digest": A1,
                "snapshot": {"head": 5, "orders": [{"id": "a"}]},
            }
        ]
    }
)
SECOND: Final = event({"seq": 6, "order": {"id": "b"}})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_joined(BENCH) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="package")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A person's browser: what one test's tabs share, no other sees."""
    opened = await browser.new_context()
    yield opened
    await opened.close()


class Tab:
    """One tab that follows."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, context: BrowserContext, url: str, *answers: Json) -> Tab:
        page = await context.new_page()
        await page.goto(url)
        await page.evaluate(
            """async (answers) => {
                await import("/joined/start.js");
                globalThis.tab = startTab("orders of kim", answers);
            }""",
            list(answers),
        )
        return cls(page)

    async def shows(self, *ids: str, mode: str = "live") -> None:
        """Return once it shows these orders in this mode; a test's timeout is the limit."""
        await self.page.wait_for_function(
            """([ids, mode]) => {
                const last = tab.seen.at(-1);
                return last?.orders.join() === ids && last.mode === mode;
            }""",
            arg=[",".join(ids), mode],
        )

    async def leads(self) -> None:
        """Return once it leads."""
        await self.page.wait_for_function("() => tab.shared.leading")

    async def asked(self) -> Json:
        """What its own clients have asked Core, in order."""
        return await self.page.evaluate("() => tab.transports.flatMap(({ asked }) => asked)")

    async def push(self, pushed: Json) -> None:
        """An event comes by this tab's stream."""
        await self.page.evaluate("(event) => tab.transports.at(-1).push(event)", pushed)


async def test_two_tabs_share_one_connection(context: BrowserContext, url: str) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, FIRST)
    await follower.shows("a")
    await leader.push(SECOND)
    await leader.shows("a", "b")
    await follower.shows("a", "b")
    assert await follower.page.evaluate("() => tab.seen.some(({ leading }) => leading)") is False
    assert await follower.page.evaluate("() => tab.seen.every(({ lead }) => lead === 7)") is True
    assert len(await leader.asked()) == 1
    assert await follower.asked() == []


async def test_when_the_leader_closes_the_other_goes_on_from_its_copy(
    context: BrowserContext, url: str
) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, response({"channels": [{"head": 6}]}))
    await follower.shows("a")
    await leader.push(SECOND)
    await follower.shows("a", "b")
    # It is handed over, not taken for lack of an answer.
    await leader.page.evaluate(
        """() => {
            globalThis.reminders = 0;
            new BroadcastChannel("orders of kim").onmessage = ({ data }) => {
                if (data.type === "remind") globalThis.reminders += 1;
            };
            tab.shared.close();
        }"""
    )
    await follower.leads()
    assert await leader.page.evaluate("() => globalThis.reminders") <= 5
    assert (await follower.asked())[0] == {"after": {"store:12": 6}, "epoch": "E1"}
    modes = await follower.page.evaluate("() => tab.seen.map(({ mode }) => mode)")
    assert "closed" not in modes


async def test_when_the_leader_is_killed_the_other_takes_over(
    context: BrowserContext, url: str
) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, response({"channels": [{"head": 5, "digest": A1}]}))
    await follower.shows("a")
    await leader.page.close()
    await follower.leads()
    await follower.shows("a")
    assert (await follower.asked())[0]["after"] == {"store:12": 5}


async def test_of_several_that_wait_one_leads(context: BrowserContext, url: str) -> None:
    tabs = [await Tab.open(context, url, FIRST) for _ in range(4)]
    for tab in tabs:
        await tab.shows("a")
    await tabs[0].page.close()
    await tabs[1].leads()
    for tab in tabs[1:]:
        await tab.shows("a")
    leading = [await tab.page.evaluate("() => tab.shared.leading") for tab in tabs[1:]]
    assert leading == [True, False, False]


async def test_a_tab_that_left_before_it_led_never_leads(context: BrowserContext, url: str) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    left, last = [await Tab.open(context, url, FIRST) for _ in range(2)]
    await left.page.evaluate("() => tab.shared.close()")
    await leader.page.close()
    await last.leads()
    assert await left.page.evaluate("() => [tab.shared.leading, tab.transports.length]") == [
        False,
        0,
    ]


async def test_what_wakes_one_tab_wakes_the_leader(context: BrowserContext, url: str) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, FIRST)
    await follower.shows("a")
    await follower.page.evaluate("() => tab.shared.wake()")
    await leader.page.wait_for_function("() => tab.transports[0].asked.length === 2")
    assert await follower.asked() == []


async def test_a_visible_tab_reminds_a_leader_whose_timers_are_held_back(
    context: BrowserContext, url: str
) -> None:
    page = await context.new_page()
    await page.goto(url)
    await page.evaluate(
        """async () => {
            const { Shared } = await import("/static/yabam/tabs.js");
            globalThis.ticks = 0;
            const client = { start() {}, tick: () => { globalThis.ticks += 1; } };
            const names = { name: "orders of kim", lead: () => client, load: () => null };
            new Shared({ ...names, seen() {} }).start();
        }"""
    )
    await until(page, "() => navigator.locks.query().then(({ held }) => held.length)")
    follower = await Tab.open(context, url, FIRST)
    await page.wait_for_function("() => globalThis.ticks >= 2", polling=100)
    assert await follower.page.evaluate("() => tab.shared.leading") is False


async def test_a_visible_tab_takes_the_lead_from_one_that_the_browser_froze(
    context: BrowserContext, url: str
) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, response({"channels": [{"head": 5, "digest": A1}]}))
    await follower.shows("a")
    # A tab stopped by the debugger is as still as a frozen one, and holds its lock as fast.
    debugger = await context.new_cdp_session(leader.page)
    await debugger.send("Debugger.enable")
    await debugger.send("Debugger.pause")
    await follower.leads()
    assert (await follower.asked())[0]["after"] == {"store:12": 5}
    await follower.push(SECOND)
    await follower.shows("a", "b")
    await debugger.send("Debugger.resume")
    await leader.shows("a", "b")
    assert await leader.page.evaluate("() => [tab.shared.leading, tab.transports.length]") == [
        False,
        1,
    ]
    # It waits for its turn like any other.
    await follower.page.close()
    await leader.leads()
    await leader.page.wait_for_function("() => tab.transports.length === 2")


async def test_a_leader_that_answers_keeps_the_lead(context: BrowserContext, url: str) -> None:
    leader = await Tab.open(context, url, FIRST)
    await leader.shows("a")
    follower = await Tab.open(context, url, FIRST)
    await follower.shows("a")
    # More reminders than a frozen tab would be given.
    await leader.page.evaluate(
        """() => new Promise((resolve) => {
            const channel = new BroadcastChannel("orders of kim");
            let reminders = 0;
            channel.onmessage = ({ data }) => {
                reminders += data.type === "remind" ? 1 : 0;
                if (reminders > 7) resolve();
            };
        })"""
    )
    assert await follower.page.evaluate("() => [tab.shared.leading, tab.transports.length]") == [
        False,
        0,
    ]


async def test_followers_see_the_lamp_change_without_any_order(
    context: BrowserContext, url: str
) -> None:
    failure = {"kind": "unreachable", "detail": "no network", "retryAfter": None}
    leader = await Tab.open(context, url, FIRST, failure)
    await leader.shows("a")
    follower = await Tab.open(context, url, FIRST)
    await follower.shows("a")
    await leader.page.evaluate("() => tab.shared.wake()")
    await follower.shows("a", mode="offline")
    modes = await follower.page.evaluate("() => tab.seen.map(({ mode }) => mode)")
    assert (modes[-3:], await follower.asked()) == (["live", "polling", "offline"], [])


async def test_people_do_not_share(browser: Browser, context: BrowserContext, url: str) -> None:
    mine = await Tab.open(context, url, FIRST)
    await mine.leads()
    other = await browser.new_context()
    theirs = await Tab.open(other, url, FIRST)
    await theirs.leads()
    assert [len(await tab.asked()) for tab in (mine, theirs)] == [1, 1]
    await other.close()


@pytest.mark.parametrize(
    "without",
    [
        "Object.defineProperty(navigator, 'locks', { value: undefined })",
        "delete globalThis.BroadcastChannel",
        "navigator.locks.request = () => Promise.reject(new DOMException('no', 'SecurityError'))",
    ],
    ids=["without locks", "without channels", "with storage forbidden"],
)
async def test_a_browser_that_cannot_share_follows_in_each_tab(
    context: BrowserContext, url: str, without: str
) -> None:
    await context.add_init_script(without)
    for _ in range(2):
        tab = await Tab.open(context, url, FIRST)
        await tab.leads()
        await tab.shows("a")
        assert len(await tab.asked()) == 1
