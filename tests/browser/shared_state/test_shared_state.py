"""The shared state in a real browser: stored in IndexedDB, sent once, equal in all tabs."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from tests.browser.state_core import CHANNEL, StateTab, WebCore

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]


@pytest_asyncio.fixture(loop_scope="package")
async def tab(context: BrowserContext, url: str) -> StateTab:
    return await StateTab.open(context, url)


KNOWN = "await until(() => client.state.clientId !== null && !cart.meta.loading);"


async def test_an_edit_is_shown_when_it_is_kept_and_settled_when_core_says_so(
    core: WebCore, tab: StateTab
) -> None:
    found = await tab.run(f"""
        {KNOWN}
        const edit = await cart.set({{ n: 1 }});
        const shown = [cart.value, cart.pending, cart.version];
        const {{ outcome, version }} = await edit.settled();
        await until(() => cart.pending === 0);
        return [shown, outcome, version, cart.value, cart.version];
    """)
    assert found == [[{"n": 1}, 1, 0], "applied", 1, {"n": 1}, 1]
    assert core.values("cart") == [{"n": 1}]


async def test_each_operation_does_what_its_name_says(core: WebCore, tab: StateTab) -> None:
    await tab.run(f"""
        {KNOWN}
        await cart.set({{ n: 1 }});
        await cart.set((value) => ({{ ...value, m: 1 }}));
        await cart.merge({{ m: null, lines: {{ a: 1 }} }});
        await cart.patch([{{ op: "add", path: "/lines/b", value: 2 }}]);
        await cart.add({{ "/n": 4 }});
        await (await cart.delete()).settled();
    """)
    assert core.values("cart") == [
        {"n": 1},
        {"n": 1, "m": 1},
        {"n": 1, "lines": {"a": 1}},
        {"n": 1, "lines": {"a": 1, "b": 2}},
        {"n": 5, "lines": {"a": 1, "b": 2}},
        None,
    ]


async def test_what_was_edited_without_a_network_survives_the_page_and_goes_out_once(
    core: WebCore, tab: StateTab
) -> None:
    await tab.run(KNOWN)
    core.offline = True
    await tab.run("await cart.set({ n: 1 }); await cart.add({ '/n': 1 });")
    await tab.reload()
    shown = await tab.run("""
        await until(() => cart.pending === 2);
        return cart.value;
    """)
    assert shown == {"n": 2}
    core.offline = False
    await tab.run("await until(() => cart.pending === 0 && cart.version === 2);")
    assert core.values("cart") == [{"n": 1}, {"n": 2}]


async def test_an_edit_whose_answer_is_lost_takes_effect_once(core: WebCore, tab: StateTab) -> None:
    await tab.run(KNOWN)
    core.lose_answers = True
    await tab.run("await cart.add({ '/n': 1 }); await until(() => client.state.sendingError);")
    core.lose_answers = False
    await tab.run("await until(() => client.state.waiting === 0 && cart.pending === 0);")
    assert core.values("cart") == [{"n": 1}]
    assert len(core.model.requests) > 1


async def test_what_is_remembered_is_shown_before_core_answers(
    core: WebCore, tab: StateTab
) -> None:
    core.model.write(CHANNEL, "cart", {"n": 7})
    await tab.run("await until(() => cart.version === 1 && client.state.clientId);")
    # What was remembered is kept once a later edit is.
    await tab.run("await client.state('private').get('x').set({});")
    core.offline = True
    await tab.reload()
    found = await tab.run("""
        await until(() => cart.value !== null);
        return [cart.value, cart.version, cart.meta.loading];
    """)
    assert found == [{"n": 7}, 1, True]


async def test_a_value_that_stands_in_no_event_is_fetched(core: WebCore, tab: StateTab) -> None:
    await tab.run(KNOWN)
    core.model.write(CHANNEL, "cart", {"text": "x" * 500})
    found = await tab.run("await until(() => cart.value); return cart.value.text.length;")
    assert found == 500


async def test_documents_that_differ_from_cores_digest_begin_anew(
    core: WebCore, tab: StateTab
) -> None:
    await tab.run(KNOWN)
    core.wrong_digests = 1
    core.model.write(CHANNEL, "cart", {"n": 1})
    await tab.run("await until(() => client.status.counters.divergences === 1);")
    # The page has the document before it asks for all anew.
    while core.syncs.count("") < 2:  # noqa: ASYNC110 - another process asks
        await asyncio.sleep(0.01)
    await tab.run("await until(() => cart.version === 1 && client.status.mode === 'polling');")
    assert core.syncs.count("") == 2


async def test_a_refusal_takes_the_edit_back_and_says_why(core: WebCore, tab: StateTab) -> None:
    core.model.write(CHANNEL, "first", {"n": 1})
    await tab.run("await until(() => of('first').version === 1);")
    core.offline = True
    await tab.run("await of('first').set({ n: 2 });")
    core.model.write(CHANNEL, "first", {"n": 3})
    core.offline = False
    found = await tab.run("""
        await until(() => of("first").meta.error);
        await until(() => of("first").version === 2);
        return [of("first").value, of("first").meta.error.slug];
    """)
    assert found == [{"n": 3}, "edit-conflict"]


RESOLVER = "{ resolvers: { first: async (key, base, current, own) => ({ n: current.n + own.n }) } }"


async def test_a_resolver_decides_a_conflict(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    core.model.write(CHANNEL, "first", {"n": 1})
    tab = await StateTab.open(context, url, RESOLVER)
    await tab.run("await until(() => of('first').version === 1);")
    core.offline = True
    await tab.run("await of('first').set({ n: 20 });")
    core.model.write(CHANNEL, "first", {"n": 3})
    core.offline = False
    await tab.run("await until(() => of('first').version === 3);")
    assert core.values("first") == [{"n": 1}, {"n": 3}, {"n": 23}]


@pytest.mark.parametrize(
    ("decide", "values"),
    [
        ("await of('ask').resolve({ n: 9 });", [{"n": 1}, {"n": 3}, {"n": 9}]),
        ("await of('ask').discard();", [{"n": 1}, {"n": 3}]),
    ],
)
async def test_a_person_decides_a_conflict(
    core: WebCore, tab: StateTab, decide: str, values: list[object]
) -> None:
    core.model.write(CHANNEL, "ask", {"n": 1})
    await tab.run("await until(() => of('ask').version === 1);")
    core.offline = True
    await tab.run("await of('ask').set({ n: 2 });")
    core.model.write(CHANNEL, "ask", {"n": 3})
    core.offline = False
    found = await tab.run(f"""
        await until(() => of("ask").meta.conflict);
        const {{ base, current, own }} = of("ask").meta.conflict;
        {decide}
        await until(() => !of("ask").meta.conflict && of("ask").pending === 0);
        return [base, current, own];
    """)
    assert found == [{"n": 1}, {"n": 3}, {"n": 2}]
    assert core.values("ask") == values


async def test_a_decision_is_shown_when_it_is_kept_also_without_a_network(
    core: WebCore, tab: StateTab
) -> None:
    core.model.write(CHANNEL, "ask", {"n": 1})
    await tab.run("await until(() => of('ask').version === 1);")
    core.offline = True
    await tab.run("await of('ask').set({ n: 2 });")
    core.model.write(CHANNEL, "ask", {"n": 3})
    core.offline = False
    await tab.run("await until(() => of('ask').meta.conflict);")
    core.offline = True
    found = await tab.run(
        "window.made = await of('ask').resolve({ n: 9 }); return of('ask').value;"
    )
    assert found == {"n": 9}
    core.offline = False
    assert await tab.run("return (await made.settled()).outcome;") == "applied"
    assert core.values("ask") == [{"n": 1}, {"n": 3}, {"n": 9}]


async def test_a_batch_goes_out_in_one_request_and_tells_each_observer_once(
    core: WebCore, tab: StateTab
) -> None:
    found = await tab.run(f"""
        {KNOWN}
        let calls = 0;
        client.state.subscribe([cart, of("bell")], () => calls++);
        await client.state.batch(() => {{
            cart.set({{ n: 1 }});
            cart.add({{ "/n": 1 }});
            of("bell").set({{ rung: 1 }});
        }}, {{ atomic: true }});
        const after = [cart.value, of("bell").value];
        await null;
        return [after, calls];
    """)
    assert found == [[{"n": 2}, {"rung": 1}], 1]
    await tab.run("await until(() => client.state.waiting === 0);")
    assert [len(batch.edits) for batch in core.model.requests] == [3]
    assert core.model.requests[0].atomic


async def test_a_batch_of_which_one_edit_cannot_be_made_makes_none(
    core: WebCore, tab: StateTab
) -> None:
    found = await tab.run(f"""
        {KNOWN}
        const failed = await client.state.batch(() => {{
            cart.set({{ n: 1 }});
            cart.patch([{{ op: "remove", path: "/m" }}]);
        }}).catch((error) => error.constructor.name);
        return [failed, cart.value, client.state.waiting];
    """)
    assert found == ["PatchError", None, 0]


async def test_an_observer_of_a_part_is_told_of_that_part_only(tab: StateTab) -> None:
    found = await tab.run(f"""
        {KNOWN}
        const seen = [];
        cart.subscribe(() => seen.push(cart.value?.lines), "/lines");
        await cart.set({{ lines: {{ a: 1 }}, n: 1 }});
        await cart.merge({{ n: 2 }});
        await cart.merge({{ lines: {{ a: 2 }} }});
        await until(() => cart.pending === 0);
        return seen;
    """)
    assert found == [{"a": 1}, {"a": 2}]


async def test_a_snapshot_is_restored_by_edits(core: WebCore, tab: StateTab) -> None:
    found = await tab.run(f"""
        {KNOWN}
        await cart.set({{ n: 1 }});
        await of("bell").set({{ rung: 1 }});
        const snapshot = client.state.export();
        await cart.set({{ n: 2 }});
        const edits = await client.state.restore(snapshot);
        await edits[0].settled();
        return [snapshot, edits.length];
    """)
    assert found == [{CHANNEL: {"bell": {"rung": 1}, "cart": {"n": 1}}}, 1]
    assert core.values("cart") == [{"n": 1}, {"n": 2}, {"n": 1}]


async def test_what_the_program_does_with_its_object_later_changes_no_edit(
    core: WebCore, tab: StateTab
) -> None:
    await tab.run(f"""
        {KNOWN}
        const value = {{ n: 1 }};
        const made = cart.set(value);
        value.n = 2;
        await (await made).settled();
    """)
    assert core.values("cart") == [{"n": 1}]


async def test_a_private_document_is_kept_and_one_of_the_session_is_not(
    core: WebCore, tab: StateTab
) -> None:
    await tab.run(f"""
        {KNOWN}
        await client.state("private").get("filter").set({{ open: true }});
        await client.state("session").get("note").set({{ text: "a" }});
    """)
    await tab.reload()
    found = await tab.run("""
        const of = (channel, key) => client.state(channel).get(key).value;
        await until(() => of("private", "filter"));
        return [of("private", "filter"), of("session", "note"), client.state("private").keys];
    """)
    assert found == [{"open": True}, None, ["filter"]]
    assert core.model.requests == []


async def test_edits_wait_for_a_token_of_their_subject(core: WebCore, tab: StateTab) -> None:
    await tab.run(KNOWN)
    core.offline = True
    await tab.run("await cart.set({ n: 1 });")
    await tab.run("await client.close();")
    core.offline = False
    await tab.begin("{ token: () => 'other', subject: subject('t1') }")
    await tab.run("await until(() => client.state.sendingError);")
    waiting = await tab.run("return [client.state.sendingError, client.state.waiting];")
    assert waiting == ["the token belongs to another subject: edits are not sent", 1]
    await tab.run("await client.close();")
    await tab.begin("{ token: 't1' }")
    await tab.run("await until(() => cart.version === 1);")
    assert core.values("cart") == [{"n": 1}]
    # The first client's last try, begun without a network, may reach Core after its end.
    assert core.tokens == {"Bearer t1"}


# ── several tabs ─────────────────────────────────────────────────────────────────────────────────


async def two_tabs(context: BrowserContext, url: str) -> tuple[StateTab, StateTab]:
    first = await StateTab.open(context, url)
    await first.run(KNOWN)
    second = await StateTab.open(context, url)
    await second.run(KNOWN)
    return first, second


async def test_a_tab_that_does_not_lead_edits_by_the_one_queue(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    first, second = await two_tabs(context, url)
    core.offline = True
    await second.run("await cart.set({ n: 1 });")
    await first.run("await cart.add({ '/n': 1 });")
    for tab in (first, second):
        await tab.run("await until(() => cart.pending === 2 && cart.value.n === 2);")
    core.offline = False
    for tab in (first, second):
        await tab.run("await until(() => cart.version === 2 && cart.pending === 0);")
    assert core.values("cart") == [{"n": 1}, {"n": 2}]
    assert {batch.client for batch in core.model.requests} == {
        await first.run("return client.state.clientId;")
    }


async def test_a_tab_that_does_not_lead_hears_the_outcome(
    context: BrowserContext, url: str
) -> None:
    _, second = await two_tabs(context, url)
    found = await second.run("return (await (await cart.set({ n: 1 })).settled()).outcome;")
    assert found == "applied"


async def test_a_tab_that_does_not_lead_is_told_why_an_edit_cannot_be_made(
    context: BrowserContext, url: str
) -> None:
    _, second = await two_tabs(context, url)
    found = await second.run("""
        const edit = cart.patch([{ op: "remove", path: "/m" }]);
        return edit.catch((error) => error.constructor.name);
    """)
    assert found == "StateError"


async def test_tabs_of_two_people_share_nothing(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    core.offline = True
    first = await StateTab.open(context, url)
    second = await StateTab.open(context, url, "{ token: 't2' }")
    await first.run("await cart.set({ n: 1 });")
    await second.run("await of('bell').set({ n: 2 });")
    found = [await tab.run("return client.state.export();") for tab in (first, second)]
    assert found == [{CHANNEL: {"cart": {"n": 1}}}, {CHANNEL: {"bell": {"n": 2}}}]


async def test_another_tab_goes_on_with_what_the_leading_one_left(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    first, second = await two_tabs(context, url)
    core.offline = True
    await first.run("await cart.set({ n: 1 });")
    await second.run("await cart.add({ '/n': 1 });")
    await first.page.close()
    core.offline = False
    await second.run("await until(() => cart.version === 2 && cart.pending === 0);")
    assert core.values("cart") == [{"n": 1}, {"n": 2}]


async def test_an_edit_that_the_leading_tab_took_before_it_died_is_made_once(
    core: WebCore, context: BrowserContext, url: str
) -> None:
    first, second = await two_tabs(context, url)
    core.offline = True
    # It has kept the edit, but its answer never comes: the tab dies first.
    await first.run("""
        const post = BroadcastChannel.prototype.postMessage;
        BroadcastChannel.prototype.postMessage = function (message) {
            if (message.type !== "answer") post.call(this, message);
        };
    """)
    await second.run(
        "window.edit = cart.add({ '/n': 1 }); edit.then(() => { window.made = true; });"
    )
    await first.run("await until(() => cart.pending === 1);")
    await first.page.close()
    await second.run("await until(() => window.made);")
    core.offline = False
    await second.run("await until(() => cart.version === 1 && cart.pending === 0);")
    assert core.values("cart") == [{"n": 1}]


@pytest.mark.parametrize("which", [0, 1], ids=["leads", "does not lead"])
async def test_it_is_told_when_there_is_known_to_be_no_document(
    core: WebCore, context: BrowserContext, url: str, which: int
) -> None:
    core.offline = True
    tabs = [await StateTab.open(context, url) for _ in range(2)]
    await tabs[which].run("""
        window.seen = [];
        cart.subscribe(() => seen.push(cart.meta.loading));
    """)
    core.offline = False
    await tabs[which].run("await until(() => seen.length > 0);")
    assert await tabs[which].run("return seen;") == [False]
