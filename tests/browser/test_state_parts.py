"""Single parts of the browser's shared state that no schedule reaches: journal, sender, loader."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from client_sdk.state.store import subject_of
from tests.browser.module_page import MODULE, TESTS, served
from tests.conformance.cases import Json

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]

PARTS: Final = """
    const load = (name) => import(`/static/yabam/${name}.js`);
    const { Replica } = await load("state/replica");
    const { EditQueue } = await load("state/queue");
    const { Sender, Loader } = await load("shared_state/sender");
    const { Journal } = await load("shared_state/journal");
    const CHANNEL = "party:12/5";
    const replica = new Replica(new EditQueue("c1", () => "c2"), { [CHANNEL]: [] });
    const reset = (documents) => ({
        type: "reset", reason: "first_sync", channel: CHANNEL, documents,
    });
    const document = (version) => ({ channel: CHANNEL, key: "cart", version, schema: 1 });
    const parts = {
        replica, settings: { backoffFirst: 1, backoffMost: 1 }, uniform: (low) => low,
        clock: () => 0, pump() {}, loaded() {},
        transport: { accessToken: async () => "t" },
    };
    const turn = () => new Promise((resolve) => setTimeout(resolve));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    with served({"/static/yabam/": MODULE, "/tests/": TESTS}) as url:
        async with await browser.new_context() as device:
            opened = await device.new_page()
            await opened.goto(url)
            yield opened


async def run(page: Page, script: str) -> Json:
    return await page.evaluate(f"async () => {{ {PARTS} {script} }}")


async def test_a_store_that_cannot_be_written_is_tried_again_after_pauses_that_grow(
    page: Page,
) -> None:
    pauses = await run(
        page,
        """
        const { setTimeout } = window;
        const pauses = [];
        window.setTimeout = (call, delay) => { pauses.push(delay); queueMicrotask(call); };
        try {
            let tries = 0;
            await new Promise((resolve) => {
                const write = async () => {
                    tries += 1;
                    if (tries <= 7) throw new Error("the disk is full");
                    resolve();
                };
                new Journal({ write }).put([{}]);
            });
        } finally {
            window.setTimeout = setTimeout;
        }
        return pauses;
        """,
    )
    assert pauses == [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]


async def test_a_journal_is_not_clean_while_what_was_put_is_still_being_written(
    page: Page,
) -> None:
    found = await run(
        page,
        """
        let written;
        const begun = new Promise((began) => {
            const write = () => new Promise((resolve) => { written = resolve; began(); });
            window.journal = new Journal({ write });
        });
        journal.put([{}]);
        await begun;
        const during = journal.isClean;
        written();
        await journal.commit();
        return [during, journal.isClean];
    """,
    )
    assert found == [False, True]


async def test_no_edit_is_sent_before_core_has_named_its_log(page: Page) -> None:
    found = await run(
        page,
        """
        const sent = [];
        const AGAIN = { type: "Again", detail: "", retryAfter: 60 };
        const { subjectOf } = await load("state/subject");
        const api = { send: async ({ ids }) => { sent.push(ids); return AGAIN; } };
        const journal = { isClean: true };
        const desk = { isFirst: false, queue: { first: null } };
        const sender = new Sender({ ...parts, subject: subjectOf("t"), desk, journal, api });
        replica.prepare([{ channel: CHANNEL, key: "cart", do: { set: {} } }], null);
        replica.accept();
        sender.worker.wake();
        await turn();
        const before = [...sent];
        replica.take(reset([]), "E1");
        sender.worker.wake();
        await turn();
        sender.worker.close();
        return [before, sent];
    """,
    )
    assert found == [[], [[1]]]


async def test_a_value_that_comes_after_its_log_has_gone_is_not_taken(page: Page) -> None:
    found = await run(
        page,
        """
        const asked = [];
        const api = {
            async document(channel, key, version) {
                asked.push(version);
                if (asked.length === 1) replica.take(reset([document(1)]), "E2");
                const value = { asked: asked.length };
                return { type: "Found", document: { ...document(version), value } };
            },
        };
        replica.take(reset([document(9)]), "E1");
        const loader = new Loader({ ...parts, api });
        loader.worker.wake();
        for (let n = 0; n < 20 && replica.view(`${CHANNEL} cart`).loading; n++) await turn();
        if (loader.worker.lastError) throw new Error(loader.worker.lastError);
        loader.worker.close();
        const { value, version } = replica.view(`${CHANNEL} cart`);
        return [asked, value, version];
    """,
    )
    assert found == [[9, 1], {"asked": 2}, 1]


async def test_a_value_that_cannot_be_had_holds_up_no_other(page: Page) -> None:
    found = await run(
        page,
        """
        const asked = [];
        const api = {
            async document(channel, key, version) {
                asked.push(key);
                if (key === "a") return { type: "Again", detail: "damaged", retryAfter: null };
                return { type: "Found", document: { ...document(version), key, value: {} } };
            },
        };
        const large = (key) => ({ ...document(1), key });
        replica.take(reset(["a", "b", "c"].map(large)), "E1");
        const settings = { backoffFirst: 0.01, backoffMost: 0.01 };
        const clock = () => performance.now() / 1000;
        const uniform = (_low, high) => high;
        const loader = new Loader({ ...parts, settings, uniform, clock, api });
        const loads = (key) => replica.view(`${CHANNEL} ${key}`).loading;
        loader.worker.wake();
        for (let n = 0; n < 1000 && (loads("b") || loads("c")); n++) await turn();
        loader.worker.close();
        return [asked.slice(0, 3), ["a", "b", "c"].map(loads)];
    """,
    )
    assert found == [["a", "b", "c"], [True, False, False]]


async def test_an_answer_that_comes_after_the_end_is_left_to_the_next_start(page: Page) -> None:
    found = await run(
        page,
        """
        const { Engine } = await load("shared_state/engine");
        const { MemoryStore } = await load("state/memory_store");
        const { subjectOf } = await load("state/subject");
        const store = new MemoryStore();
        const waiting = () => store.openNow(subjectOf("t")).entries.length;
        let isClosed = false;
        let writesAfterwards = 0;
        let answered;
        const begun = new Promise((began) => {
            parts.api = { send: () => new Promise((done) => { answered = done; began(); }) };
        });
        const news = [];
        const engine = new Engine(store.openNow(subjectOf("t")), {
            ...parts, channels: [CHANNEL], followed: [CHANNEL], resolvers: {}, calls: {},
            newClient: () => "c1", subject: subjectOf("t"), coreTime: () => null,
            book: () => null, log: () => null, differs() {}, told: (one) => news.push(one),
            store: {
                async write(writes) {
                    if (isClosed) writesAfterwards += 1;
                    store.writeNow(writes);
                },
                close: () => { isClosed = true; },
            },
        });
        engine.take({ type: "DeliverDocument", change: reset([]), epoch: "E1" });
        await engine.edit([{ channel: CHANNEL, key: "cart", do: { set: {} } }]);
        await begun;
        await engine.stop();
        news.length = 0;
        const outcomes = [{ n: 1, outcome: "applied", version: 1 }];
        answered({ type: "Answered", outcomes });
        for (let n = 0; n < 10; n++) await turn();
        return [writesAfterwards, news.length, waiting()];
    """,
    )
    assert found == [0, 0, 1]


ORDER: Final = {
    "id": "00000000-0000-0000-0000-000000000001",
    "store_id": "12",
    "table_id": "5",
    "status": "placed",
    "version": 1,
    "items": [],
    "total": 0,
    "currency": "KRW",
    "note": "",
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
}


@pytest.mark.parametrize(
    ("book", "log", "shown"),
    [
        pytest.param([1], ["E1", 7], [2], id="the log has an older version"),
        pytest.param([1], ["E1", 9], [2], id="the log has gone on without it"),
        pytest.param([2], ["E1", 8], [], id="the log has brought it"),
        pytest.param([3], ["E1", 9], [], id="the log has brought a later version"),
        pytest.param([1], ["E2", 7], [], id="an earlier log"),
        pytest.param([1], [None, None], [], id="no log is known"),
        pytest.param([], ["E1", 7], [2], id="a new order that the log has not brought"),
        pytest.param([], ["E1", 6], [2], id="orders that were stored before it came"),
        pytest.param([], ["E1", 8], [], id="it may have ended since"),
        pytest.param([], ["E1", None], [], id="the channel begins anew"),
    ],
)
async def test_a_kept_answer_is_shown_while_the_log_has_still_to_bring_it(
    page: Page, book: list[int], log: list[Json], shown: list[int]
) -> None:
    found = await run(
        page,
        f"""
        const {{ keptAnswer, stillAhead }} = await load("state/orders/kept_answers");
        const {{ OrderBook }} = await load("client/order_book");
        const order = {json.dumps(ORDER)};
        const answer = keptAnswer(
            {{ ...order, version: 2 }},
            {{ epoch: "E1", positions: {{ "store:12": 7, "store:13": 70 }} }},
            ["store:12", "table:12/5"],
        );
        const book = new OrderBook();
        book.replace("store:12", {json.dumps(book)}.map((version) => ({{ ...order, version }})));
        const [epoch, seq] = {json.dumps(log)};
        const log = {{ epoch, positions: {{ "store:12": seq, "store:13": 1 }} }};
        const {{ known, ahead }} = stillAhead([answer], log, book);
        return [known, ahead].map((all) => Object.values(all).map(({{ version }}) => version));
        """,
    )
    assert found == [shown, []]


async def test_of_kept_answers_of_logs_that_have_not_begun_here_the_latest_are_shown(
    page: Page,
) -> None:
    found = await run(
        page,
        f"""
        const {{ keptAnswer, stillAhead }} = await load("state/orders/kept_answers");
        const {{ OrderBook }} = await load("client/order_book");
        const order = {json.dumps(ORDER)};
        const answers = ["E2", "E3", "E3", "E1"].map((epoch, n) =>
            keptAnswer({{ ...order, id: `${{n}}` }}, {{ epoch, positions: {{}} }}, []));
        const log = {{ epoch: "E1", positions: {{ "store:12": 7 }} }};
        const {{ known, ahead, aheadLog }} = stillAhead(answers, log, new OrderBook());
        return [Object.keys(known), Object.keys(ahead), aheadLog];
        """,
    )
    assert found == [[], ["1", "2"], "E3"]


def token(claims: Json) -> str:
    return f"h.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    "text",
    [
        token({"sub": "12", "role": "brand"}),
        token({"sub": "12"}),
        token({"sub": "김밥", "role": "table"}),
        token({"sub": 12, "role": "brand"}),
        token({"sub": "12", "role": 7}),
        token({"sub": ""}),
        "opaque",
    ],
    ids=["role and name", "name", "not ASCII", "a number", "no role", "empty", "no JSON Web Token"],
)
async def test_both_clients_take_a_token_for_the_same_subject(page: Page, text: str) -> None:
    found = await page.evaluate(
        """async (text) => {
            const { subjectOf } = await import("/static/yabam/state/subject.js");
            return subjectOf(text);
        }""",
        text,
    )
    assert found == subject_of(text)
