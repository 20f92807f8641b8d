"""Orders through the queue in a real browser: stored in IndexedDB, done once, equal in all tabs."""

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
KEEPING: Final = f"""{{
    channels: ["store:12", "{CHANNEL}"],
    load: () => JSON.parse(localStorage.getItem("orders")),
    seen: ({{ state, leading }}) => {{
        if (leading) localStorage.setItem("orders", JSON.stringify(state));
    }},
}}"""
"""A page that stores its orders, and shows them before it has a network."""
FOUND: Final = "await until(() => client.commands.orders.length === 1);"
SHOWN: Final = """
    return client.commands.orders.map((one) => [one.order.status, one.order.version, one.pending]);
"""


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


async def answered_step(core: WebCore, tab: StateTab) -> None:
    """An order that this tab accepts; Core answers, and its log does not come."""
    core.desk.placed("12")
    await tab.run(FOUND + KNOWN)
    core.hold_syncs = True
    assert await tab.run(f"""
        const step = await client.commands.transition("{A}", "accepted");
        return [(await step.settled()).outcome, client.orders[0].version];
    """) == ["applied", 1]


async def kept_answers(tab: StateTab) -> int:
    """How many answers the store holds."""
    found = await tab.run("""
        const [{ name }] = await indexedDB.databases();
        const database = await new Promise((resolve) => {
            indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result);
        });
        const asked = database.transaction("meta").objectStore("meta").getAllKeys();
        await new Promise((resolve) => { asked.onsuccess = resolve; });
        database.close();
        return asked.result.filter((key) => key[0] === "answer").length;
    """)
    assert isinstance(found, int)
    return found


async def test_a_page_that_restarts_offline_shows_the_step_that_was_answered(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    tab = await StateTab.open(context, url, KEEPING)
    await answered_step(core, tab)
    core.offline = True
    await tab.reload(KEEPING)
    await tab.run("await until(() => client.commands.orders[0]?.order.version === 2);")
    assert await tab.run(SHOWN) == [["accepted", 2, 0]]
    await tab.run(f'window.step = await client.commands.transition("{A}", "preparing");')
    core.offline = core.hold_syncs = False
    assert await tab.run("return (await step.settled()).outcome;") == "applied"
    await tab.run("await until(() => client.orders[0].version === 3);")
    assert [done.type for done in core.desk.log][1:] == ["order.accepted", "order.preparing"]
    await tab.run("await client.close();")
    assert await kept_answers(tab) == 0


async def test_a_tab_that_takes_the_lead_shows_the_step_that_was_answered(
    core: WebCore, context: BrowserContext, url: str, tab: StateTab
) -> None:
    other = await StateTab.open(context, url, FOLLOWED)
    await answered_step(core, tab)
    await other.run("await until(() => client.commands.orders[0]?.order.version === 2);")
    core.offline = True
    await tab.page.close()
    # It leads once it has done this.
    await other.run('await client.state("private").get("note").set({ n: 1 });')
    assert await other.run(SHOWN) == [["accepted", 2, 0]]
    await other.run(f'window.step = await client.commands.transition("{A}", "preparing");')
    core.offline = core.hold_syncs = False
    assert await other.run("return (await step.settled()).outcome;") == "applied"


async def test_a_tab_that_takes_the_lead_knows_what_it_was_told_of_orders(
    core: WebCore, context: BrowserContext, url: str, tab: StateTab
) -> None:
    core.desk.sold_out.add("Tea")
    await tab.run(KNOWN)
    other = await StateTab.open(context, url, FOLLOWED)
    found = await other.run(f"""
        const refused = await client.commands.place({TEA});
        await refused.settled();
        window.refused = refused.orderId;
        const placed = await client.commands.place({TEA.replace("Tea", "Milk")});
        await placed.settled();
        window.placed = placed.orderId;
        await until(() => client.commands.error(window.refused));
        return client.commands.error(window.refused).slug;
    """)
    assert found == "sold-out"
    await tab.page.close()
    found = await other.run(f"""
        await (await client.commands.transition("{A}", "accepted")).settled();
        return [client.commands.error(refused)?.slug, client.commands.order(placed)?.order.id];
    """)
    assert found == ["sold-out", A]


async def test_a_restored_log_drops_the_answers_that_were_kept(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    tab = await StateTab.open(context, url, KEEPING)
    await answered_step(core, tab)
    core.offline = True
    await tab.reload(KEEPING)
    await tab.run("await until(() => client.commands.orders[0]?.order.version === 2);")
    core.desk.log.clear()
    core.desk.orders.clear()
    core.desk.placed("12")
    core.model.epoch = "E2"
    core.offline = core.hold_syncs = False
    await tab.run("await until(() => client.commands.orders[0]?.order.version === 1);")
    assert await tab.run(SHOWN) == [["placed", 1, 0]]
    await tab.run("await client.close();")
    assert await kept_answers(tab) == 0


EARLIER: Final = """
    const { IndexedStore } = await import("/tests/shared_state/earlier_store.js");
    const [{ name }] = await indexedDB.databases();
    const earlier = new IndexedStore();
    const subject = name.replace("yabam ", "");
"""
"""The previous release's own store, of the database that there is."""


async def test_what_an_older_release_kept_is_still_sent(core: WebCore, tab: StateTab) -> None:
    await tab.run(KNOWN)
    core.offline = True
    await tab.run(f"""
        await client.commands.place({TEA});
        await cart.set({{ n: 1 }});
        await client.close();
        {EARLIER}
        const found = await earlier.open(subject);
        earlier.close();
        await new Promise((resolve, reject) => {{
            const gone = indexedDB.deleteDatabase(name);
            gone.onsuccess = resolve;
            gone.onerror = gone.onblocked = () => reject(new Error("not done"));
        }});
        await earlier.open(subject);
        await earlier.write([
            {{ type: "PutCounters", ...found.counters }},
            ...found.entries.map((row) => ({{ type: "PutEntry", row }})),
            ...found.commands.map((command) => ({{ type: "PutCommand", command }})),
        ]);
        earlier.close();
    """)
    await tab.reload(FOLLOWED)
    await tab.run("await until(() => client.commands.waiting === 1 && cart.pending === 1);")
    core.offline = False
    await tab.run("await until(() => client.commands.waiting === 0 && cart.pending === 0);")
    assert [done.type for done in core.desk.log] == ["order.placed"]
    assert core.values("cart") == [{"n": 1}]


async def test_an_older_release_opens_what_this_one_keeps_and_this_one_goes_on(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    tab = await StateTab.open(context, url, KEEPING)
    await answered_step(core, tab)
    core.offline = True
    seen = await tab.run(f"""
        await client.commands.transition("{A}", "preparing");
        await cart.set({{ n: 1 }});
        {EARLIER}
        const found = await earlier.open(subject);
        await earlier.write([{{ type: "PutPrivate", key: "note", version: 1, value: {{ n: 2 }} }}]);
        earlier.close();
        return [found.commands.length, found.entries.length];
    """)
    assert seen == [1, 1]
    assert await kept_answers(tab) == 1
    await tab.reload(KEEPING)
    await tab.run("await until(() => client.commands.waiting === 1 && cart.pending === 1);")
    assert await tab.run(SHOWN) == [["preparing", 2, 1]]
    core.offline = core.hold_syncs = False
    await tab.run("await until(() => client.commands.waiting === 0 && cart.pending === 0);")
    assert [done.type for done in core.desk.log][1:] == ["order.accepted", "order.preparing"]
    assert core.values("cart") == [{"n": 1}]
