"""The bindings draw only what has changed, and hydrate what a server has rendered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.front_end import BINDINGS, build
from tests.browser.module_page import TESTS, served
from tests.browser.state_core import StateTab, WebCore

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]

KNOWN: Final = "await until(() => client.state.clientId !== null && !cart.meta.loading);"
FILLED: Final = f"""
    {KNOWN}
    await cart.set({{ lines: {{ a: {{ quantity: 1 }}, b: {{ quantity: 1 }} }} }});
    await (await bell.set({{ rung: 0 }})).settled();
    await until(() => cart.pending === 0 && bell.pending === 0);
    await until(() => document.querySelector("#bell").textContent === '{{"rung":0}}');
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    built = build(TESTS / "rendering" / "vite.config.js", tmp_path_factory.mktemp("pages"))
    with served({"/pages/": built}) as address:
        yield address


class Rendered(StateTab):
    """One of the pages of `rendering`, and the Core that it asks."""

    def __init__(self, tab: StateTab, core: WebCore, name: str) -> None:
        super().__init__(tab.page)
        self.core = core
        self.name = name

    async def drawn_by(self, work: str) -> dict[str, int]:
        """How often each part is drawn for the work, while Core cannot be reached."""
        self.core.offline = True
        found = await self.run(f"return drawnBy(async () => {{ {work} }})")
        assert isinstance(found, dict)
        return found


@pytest_asyncio.fixture(params=BINDINGS, loop_scope="package")
async def page(
    request: pytest.FixtureRequest, browser: Browser, url: str
) -> AsyncIterator[Rendered]:
    async with await browser.new_context() as context:
        core = WebCore()
        await core.attach(context)
        opened = await context.new_page()
        await opened.goto(f"{url}/pages/{request.param}.html")
        yield Rendered(StateTab(opened), core, request.param)


def of(page: Rendered, *parts: str) -> dict[str, int]:
    """These parts, once each; there is no element that shows two documents."""
    return {part: 1 for part in parts if part != "both" or page.name != "elements"}


async def test_an_edit_draws_the_parts_that_it_changes_and_no_other(page: Rendered) -> None:
    await page.run(FILLED)
    drawn = await page.drawn_by("await cart.merge({ lines: { a: { quantity: 2 } } });")
    assert drawn == of(page, "a", "both")
    assert await page.page.text_content("#a") == "2"


async def test_a_batch_draws_what_shows_two_of_its_documents_once(page: Rendered) -> None:
    await page.run(FILLED)
    batch = "cart.merge({ lines: { a: { quantity: 3 } } }); bell.merge({ rung: 1 });"
    drawn = await page.drawn_by(f"await client.state.batch(() => {{ {batch} }});")
    assert drawn == of(page, "a", "bell", "both")


async def test_an_order_that_changes_draws_its_own_row_only(page: Rendered) -> None:
    for dish in ("Tea", "Soup"):
        page.core.desk.placed("12")
        order = (
            f'{{ store_id: "12", currency: "KRW", '
            f'items: [{{ name: "{dish}", quantity: 1, unit_price: 1 }}] }}'
        )
        await page.run(f"{KNOWN} await (await client.commands.place({order})).settled();")
    ours = 'client.commands.orders.find(({ order }) => order.items[0].name === "Soup")'
    await page.run(f"await until(() => {ours}?.pending === 0 && client.orders.length === 4);")
    drawn = await page.drawn_by(f'await client.commands.change({ours}, {{ note: "hot" }});')
    assert drawn == {"Soup": 1}


async def test_the_attributes_of_the_element_say_which_orders_it_lists(
    browser: Browser, url: str
) -> None:
    async with await browser.new_context() as context:
        core = WebCore()
        await core.attach(context)
        for table in ("5", "6"):
            core.desk.placed("12", table)
        core.desk.do(1, {"to": "accepted"})
        page = await context.new_page()
        await page.goto(f"{url}/pages/elements.html")
        tab = StateTab(page)
        found = await tab.run("""
            const element = document.querySelector("yabam-orders");
            const rows = () => [...element.querySelectorAll("li")].map((row) => row.dataset.status);
            await until(() => rows().length === 2);
            const listed = [rows()];
            for (const [name, value] of [["table", "5"], ["statuses", "placed ready"]]) {
                element.setAttribute(name, value);
                listed.push(rows());
            }
            element.removeAttribute("table");
            listed.push(rows());
            element.setAttribute("store", "13");
            return [...listed, rows()];
        """)
        assert found == [["accepted", "placed"], ["accepted"], [], ["placed"], []]


async def test_a_client_that_knows_more_takes_over_what_a_server_has_drawn(
    browser: Browser, url: str
) -> None:
    async with await browser.new_context() as context:
        core = WebCore()
        await core.attach(context)
        page = await context.new_page()
        await page.goto(f"{url}/pages/hydrated.html")
        tab = StateTab(page)
        await tab.run(f"{KNOWN} await (await cart.set({{ n: 1 }})).settled();")
        found = await tab.run("return hydrate();")
        assert found == {
            "served": ["<b>loading</b>", "<b>loading</b>"],
            "complaints": [],
            "shown": ['{"n":1}', '{"n":1}'],
        }


async def test_a_part_that_waits_a_second_time_is_drawn_from_there_without_an_error(
    browser: Browser, url: str
) -> None:
    async with await browser.new_context() as context:
        await WebCore().attach(context)
        page = await context.new_page()
        await page.goto(f"{url}/pages/hydrated.html")
        assert await StateTab(page).run("return suspend();") == []
