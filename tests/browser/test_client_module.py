"""The module's client with a scripted transport: machine, one sync, stream, timer, and book."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.module_page import ModulePage, module_page
from tests.conformance.cases import Json, event, order, response

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("module-shell")]

A1: Final = "2b2c40a6706d9e5f"
"""The digest of the order a at version 1 and no other."""
SNAPSHOT: Final = {"reset": "first_sync", "snapshot": {"head": 5, "orders": [{"id": "a"}]}}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def module(browser: Browser) -> AsyncIterator[ModulePage]:
    async with module_page(browser) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="package")
async def page(module: ModulePage) -> AsyncIterator[Page]:
    # What a test before left running is gone with its document.
    await module.page.reload()
    yield module.page


def good(*channels: Json, **more: Json) -> Json:
    return response({"channels": list(channels) or [SNAPSHOT | {"digest": A1}]} | more)


async def run(page: Page, script: str, *answers: Json, **options: Any) -> Json:
    """Start a client, run the script on it (`bench`, `settled`), and give what it returns."""
    return await page.evaluate(
        f"""async ([answers, options]) => {{
            await import("/joined/start.js");
            const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
            const bench = startClient({{ answers, ...options }});
            await settled();
            {script}
        }}""",
        [list(answers), options],
    )


async def test_it_shows_a_snapshot_and_then_what_is_pushed(page: Page) -> None:
    script = """
        bench.transport.push(event);
        const { book, mode, status } = bench.client;
        return [mode, book.all().map(({ id }) => id), status.positions];
    """
    pushed = event({"seq": 6, "order": {"id": "b"}})
    found = await run(page, f"const event = {_js(pushed)}; {script}", good())
    assert found == ["live", ["a", "b"], {"store:12": 6}]


async def test_each_change_is_told_once_with_the_status(page: Page) -> None:
    script = "return bench.seen.flatMap(({ changes }) => changes.map((c) => [c.kind, c.id]));"
    assert await run(page, script, good()) == [["added", "a"]]


async def test_a_book_that_differs_from_cores_takes_a_snapshot(page: Page) -> None:
    wrong = good(SNAPSHOT | {"digest": "f" * 16})
    script = """
        await settled();
        return [bench.transport.asked.map(({ after }) => after["store:12"]),
            bench.client.status.counters.divergences, bench.client.mode];
    """
    # The second answer is right, and heals it.
    assert await run(page, script, wrong, good()) == [[None, None], 1, "live"]


async def test_a_book_whose_orders_differ_in_anything_but_their_version_takes_a_snapshot(
    page: Page,
) -> None:
    wrong = good(SNAPSHOT | {"digest": A1, "content_digest": "f" * 32})
    script = """
        await settled();
        return [bench.transport.asked.map(({ after }) => after["store:12"]),
            bench.client.status.counters.divergences, bench.client.mode];
    """
    assert await run(page, script, wrong, good()) == [[None, None], 1, "live"]


async def test_it_reports_how_the_device_stands(page: Page) -> None:
    wrong = good(SNAPSHOT | {"digest": "f" * 16})
    script = "return [bench.client.report('till-1'), bench.client.mode];"
    assert await run(page, script, good()) == ["till-1; mode=live; pending=0", "live"]
    # The answer that would heal it is under way.
    healing = await run(page, script, wrong, None)
    assert healing == ["till-1; mode=starting; pending=0; diverged=1", "starting"]


async def test_a_stored_state_goes_on_where_it_was(page: Page) -> None:
    script = """
        return [bench.transport.asked[0], bench.client.book.all().map(({ id }) => id),
            bench.client.status.counters.divergences];
    """
    found = await run(page, script, good({"head": 5, "digest": A1}), saved=_saved())
    assert found == [{"after": {"store:12": 5}, "epoch": "E1"}, ["a"], 0]


async def test_the_first_channel_that_begins_anew_tells_that_the_log_is_another_one(
    page: Page,
) -> None:
    channels = ["store:12", "store:13"]
    empty = {"reset": "epoch", "snapshot": {"head": 2, "orders": []}}
    after_a_restore = good(*({"channel": one, **empty} for one in channels), epoch="E2")
    saved = _saved() | {
        "positions": dict.fromkeys(channels, 5),
        "orders": {one: [] for one in channels},
    }
    found = await run(
        page, "return bench.anew.slice(0, 2);", after_a_restore, saved=saved, channels=channels
    )
    assert found == [["store:12", False], ["store:13", True]]
    assert await run(page, "return bench.anew;", good()) == [["store:12", True]]


async def test_what_it_stores_is_what_it_takes_up(page: Page) -> None:
    script = "return JSON.parse(JSON.stringify(bench.client.state));"
    state = await run(page, script, good())
    told = [state["format"], state["epoch"], state["positions"]]
    assert told == [1, "E1", {"store:12": 5}]
    again = "return [bench.transport.asked[0].after, bench.client.state.orders];"
    asked, orders = await run(page, again, good({"head": 5, "digest": A1}), saved=state)
    assert asked == {"store:12": 5}
    assert [one["id"] for one in orders["store:12"]] == ["a"]


SPOILED: Final[dict[str, Json]] = {
    "nothing": None,
    "text": "saved",
    "another format": {"format": 2},
    "no epoch": {"epoch": None},
    "another channel": {"positions": {"store:13": 5}, "orders": {"store:13": []}},
    "one channel more": {
        "positions": {"store:12": 5, "store:13": 5},
        "orders": {"store:12": [], "store:13": []},
    },
    "a position that is none": {"positions": {"store:12": "5"}},
    "a position with a fraction": {"positions": {"store:12": 5.5}},
    "no orders": {"orders": {}},
    "orders that are none": {"orders": {"store:12": [{"id": "a"}]}},
    "orders that are text": {"orders": {"store:12": "a"}},
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=list(SPOILED))
async def test_a_stored_state_that_is_not_whole_is_left_alone(page: Page, spoiled: Json) -> None:
    saved = _saved() | spoiled if isinstance(spoiled, dict) else spoiled
    script = "return [bench.transport.asked[0], bench.client.mode];"
    asked, mode = await run(page, script, good(), saved=saved)
    assert asked == {"after": {"store:12": None}, "epoch": None}
    assert mode == "live"


async def test_an_error_of_the_page_ends_it_and_reaches_whoever_watches(page: Page) -> None:
    async with page.expect_event("pageerror") as watched:
        found = await page.evaluate(
            """async (answers) => {
                await import("/joined/start.js");
                const changed = ({ changes }) => { if (changes.length) throw new Error("a bug"); };
                const bench = startClient({ answers, changed });
                await new Promise((resolve) => setTimeout(resolve, 0));
                return [bench.client.mode, bench.client.status.cause];
            }""",
            [good()],
        )
    assert found == ["failed", {"kind": "consumer", "detail": "Error: a bug"}]
    assert (await watched.value).message == "a bug"


async def test_after_a_sleep_it_is_not_live_before_it_is_certain_again(page: Page) -> None:
    script = """
        const before = bench.client.mode;
        bench.client.wake();
        return [before, bench.client.mode, bench.transport.asked.length];
    """
    assert await run(page, script, good(), None) == ["live", "polling", 2]


async def test_a_tick_does_what_is_due_and_only_that(page: Page) -> None:
    script = """
        const counts = [];
        for (const now of [14.9, 15]) {
            bench.now = now;
            const before = bench.seen.length;
            bench.client.tick();
            counts.push([bench.seen.length - before, bench.client.mode]);
        }
        return counts;
    """
    # The watermark has stood still for the 15 seconds that it may.
    assert await run(page, script, good()) == [[0, "live"], [1, "polling"]]


async def test_its_own_timer_does_what_is_due(page: Page) -> None:
    failure = {"kind": "unreachable", "detail": "no network", "retryAfter": None}
    found = await page.evaluate(
        """async ([answers, settings]) => {
            await import("/joined/start.js");
            const live = new Promise((resolve) => {
                const changed = ({ status }) => { if (status.mode === "live") resolve(); };
                const bench = startClient({ answers, settings, changed });
                Object.defineProperty(bench, "now", { get: () => performance.now() / 1000 });
            });
            await live;
            return "live";
        }""",
        [[failure, failure, good()], {"backoffFirst": 0.01}],
    )
    assert found == "live"


async def test_after_close_nothing_is_asked_and_the_state_can_still_be_read(page: Page) -> None:
    script = """
        bench.client.close();
        bench.now = 1000;
        bench.client.tick();
        bench.client.wake();
        const { mode, state } = bench.client;
        return [mode, state.positions, bench.transport.asked.length];
    """
    assert await run(page, script, good()) == ["closed", {"store:12": 5}, 1]


@pytest.mark.parametrize(
    "channels", [["store"], ["store:12", "<b>"], [f"store:{n}" for n in range(41)]]
)
async def test_channels_that_it_cannot_follow_are_refused_at_once(
    page: Page, channels: list[str]
) -> None:
    refused = await page.evaluate(
        """async (channels) => {
            const { Client } = await import("/static/yabam/client.js");
            const { ContractError } = await import("/static/yabam/contract/contract.js");
            try {
                return new Client({ channels });
            } catch (error) {
                return error instanceof ContractError;
            }
        }""",
        channels,
    )
    assert refused is True


def _saved() -> dict[str, Json]:
    orders = {"store:12": [order({"id": "a"})]}
    return {"format": 1, "epoch": "E1", "positions": {"store:12": 5}, "orders": orders}


def _js(value: Json) -> str:
    return json.dumps(value)
