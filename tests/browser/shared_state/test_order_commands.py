"""Orders through the queue in a real browser: kept in IndexedDB, done once, alike in all tabs."""

from __future__ import annotations

from itertools import dropwhile
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from tests.browser.state_core import CHANNEL, StateTab, WebCore
from tests.unit.client_sdk.state.order_core import order_id

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]

FOLLOWED: Final = f'{{ channels: ["store:12", "{CHANNEL}"] }}'
TEA: Final = """{
    store_id: "12", table_id: "5", currency: "KRW",
    items: [{ name: "Tea", quantity: 2, unit_price: 100 }],
}"""
KNOWN: Final = "await until(() => client.state.clientId !== null && !cart.meta.loading);"
A: Final = order_id(1)


@pytest_asyncio.fixture(loop_scope="package")
async def tab(context: BrowserContext, url: str) -> StateTab:
    return await StateTab.open(context, url, FOLLOWED)


async def test_a_step_is_shown_at_once_and_done_by_core(core: WebCore, tab: StateTab) -> None:
    core.desk.placed("12")
    found = await tab.run(f"""
        await until(() => client.commands.orders.length === 1);
        const step = await client.commands.transition("{A}", "accepted");
        const {{ order, pending }} = client.commands.order("{A}");
        const {{ outcome }} = await step.settled();
        await until(() => client.orders[0].version === 2);
        return [order.status, pending, outcome, client.commands.waiting];
    """)
    assert found == ["accepted", 1, "applied", 0]
    assert core.desk.orders[A].status == "accepted"


async def test_what_was_done_offline_survives_the_page_and_is_done_once_in_order(
    core: WebCore, tab: StateTab
) -> None:
    await tab.run(KNOWN)
    core.offline = True
    shown = await tab.run(f"""
        const {{ orderId }} = await client.commands.place({TEA});
        await cart.set({{ n: 1 }});
        await client.commands.transition(orderId, "accepted");
        await cart.add({{ "/n": 1 }});
        return client.commands.orders.map((one) =>
            [one.order.status, one.order.total, one.pending]);
    """)
    assert shown == [["accepted", 200, 2]]
    await tab.reload(FOLLOWED)
    await tab.run("await until(() => client.commands.waiting === 2 && cart.pending === 2);")
    core.offline, core.lose_answers = False, True
    await tab.run("await until(() => client.state.sendingError);")
    core.lose_answers = False
    await tab.run("await until(() => client.commands.waiting === 0 && cart.pending === 0);")
    assert [done.type for done in core.desk.log] == ["order.placed", "order.accepted"]
    assert core.values("cart") == [{"n": 1}, {"n": 2}]
    # None goes out together with one on the other side of a command.
    assert {len(batch.edits) for batch in core.model.requests} == {1}


async def test_a_refused_step_is_taken_back_and_says_why(core: WebCore, tab: StateTab) -> None:
    core.desk.placed("12")
    await tab.run("await until(() => client.commands.orders.length === 1);")
    core.offline = True
    await tab.run(f'await client.commands.transition("{A}", "cancelled");')
    core.desk.do(1, {"to": "accepted"})
    core.desk.do(1, {"to": "preparing"})
    core.offline = False
    found = await tab.run(f"""
        await until(() => client.commands.error("{A}"));
        await until(() => client.orders[0].version === 3);
        const [{{ order, pending, error }}] = client.commands.orders;
        return [order.status, pending, error.slug];
    """)
    assert found == ["preparing", 0, "stale-version"]


async def test_tabs_share_one_queue_and_show_each_others_steps(
    core: WebCore, context: BrowserContext, url: str, tab: StateTab
) -> None:
    await tab.run(KNOWN)
    other = await StateTab.open(context, url, FOLLOWED)
    await other.run(KNOWN)
    core.offline = True
    await other.run(f"window.handle = await client.commands.place({TEA});")
    await tab.run("await until(() => client.commands.orders.length === 1);")
    await tab.run("""
        const [shown] = client.commands.orders;
        await client.commands.transition(shown, "accepted");
    """)
    await other.run("await until(() => client.commands.orders[0]?.order.status === 'accepted');")
    core.offline = False
    found = await other.run("""
        const { outcome, order } = await handle.settled();
        await until(() => client.commands.waiting === 0);
        return [outcome, order.id, client.commands.order(handle.orderId).order.id];
    """)
    assert found == ["applied", A, A]
    assert [done.type for done in core.desk.log] == ["order.placed", "order.accepted"]


async def test_observers_are_told_once_of_all_that_changes_at_one_moment(
    core: WebCore, tab: StateTab
) -> None:
    core.desk.placed("12")
    found = await tab.run(f"""
        await until(() => client.commands.orders.length === 1);
        const seen = [];
        client.commands.subscribe(() => seen.push(client.commands.order("{A}").order.status));
        await client.commands.transition("{A}", "accepted");
        await client.commands.transition("{A}", "preparing");
        await until(() => client.commands.waiting === 0 && seen.at(-1) === "preparing");
        return seen;
    """)
    # Who subscribes while the order is told of hears of it as it was placed, before anything else.
    told = list(dropwhile(lambda status: status == "placed", found))
    assert told[-1] == "preparing"
    assert "placed" not in told


async def test_another_tab_goes_on_with_what_the_leading_one_left(
    core: WebCore, context: BrowserContext, url: str, tab: StateTab
) -> None:
    await tab.run(KNOWN)
    other = await StateTab.open(context, url, FOLLOWED)
    await other.run(KNOWN)
    core.offline = True
    await tab.run(f"await client.commands.place({TEA});")
    await tab.page.close()
    core.offline = False
    await other.run("await until(() => client.orders.length === 1);")
    await other.run("await until(() => client.commands.waiting === 0);")
    assert [done.type for done in core.desk.log] == ["order.placed"]
