"""Syncs and commands of the module in a real Chromium, with made-up answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from tests.browser.made_up import HTML, SNAPSHOT, Answers, Handler, good, problem
from tests.browser.module_page import ModulePage, module_page
from tests.conformance import cases
from tests.conformance.cases import Json

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("module-shell")]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def module(browser: Browser) -> AsyncIterator[ModulePage]:
    async with module_page(browser) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="package")
async def page(module: ModulePage) -> AsyncIterator[Page]:
    yield module.page
    await module.page.unroute_all(behavior="ignoreErrors")


async def sync(page: Page, answers: Handler, token: str = '"k"', **command: Json) -> Json:
    await page.route("**/v1/sync*", answers)
    return await page.evaluate(
        f"""async (command) => {{
            const {{ syncOnce }} = await import("/tests/bench.js");
            return syncOnce({token}, command);
        }}""",
        command,
    )


async def send(page: Page, answers: Handler, **options: Json) -> Json:
    await page.route("**/v1/orders/**", answers)
    return await page.evaluate(
        """async (options) => {
            const { commandOnce } = await import("/tests/bench.js");
            const key = "key-1";
            return commandOnce("/v1/orders/a/transitions", { to: "ready" }, { key, ...options });
        }""",
        options,
    )


# ── syncs ────────────────────────────────────────────────────────────────────


async def test_a_sync_asks_for_its_channels_from_where_they_are(page: Page) -> None:
    answers = Answers(good())
    after = {"table:12/5": 7, "store:12": 5, "store:13": None}
    done = await sync(page, answers, after=after, epoch="E1", wait=12.345)
    assert done["type"] == "SyncDone"
    assert done["generation"] == 3
    assert answers.query() == {
        "channel": ["table:12/5", "store:12", "store:13"],
        "lastEventId": ["store:12@5,table:12/5@7"],
        "epoch": ["E1"],
        "wait": ["12.35"],
        "orders": ["1000"],
    }
    headers = answers.requests[0].headers
    assert headers["authorization"] == "Bearer k"
    assert headers["yabam-device"] == "till-1; mode=live; pending=0"
    assert "cookie" not in headers


async def test_a_first_sync_names_no_position(page: Page) -> None:
    answers = Answers(good())
    await sync(page, answers)
    assert answers.query() == {"channel": ["store:12"], "orders": ["1000"]}


async def test_the_pages_of_a_snapshot_are_put_together(page: Page) -> None:
    first = SNAPSHOT | {"snapshot": {"head": 5, "orders": [{"id": "a"}], "next": "p2"}}
    second = {"snapshot": {"head": 5, "orders": [{"id": "b"}]}}
    answers = Answers(good(first), good(second))
    done = await sync(page, answers)
    (channel,) = done["response"]["channels"]
    assert [one["id"] for one in channel["snapshot"]["orders"]] == ["a", "b"]
    assert answers.query(1) == {"page": ["p2"], "orders": ["1000"]}


async def test_a_page_that_cannot_be_had_fails_the_sync(page: Page) -> None:
    first = SNAPSHOT | {"snapshot": {"head": 5, "orders": [], "next": "p2"}}
    busy = problem(503, "overloaded", "The server is full", **{"retry-after": "7"})
    failed = await sync(page, Answers(good(first), busy))
    assert failed["type"] == "SyncFailed"
    assert failed["failure"]["kind"] == "busy"


SYNC_FAILURES: Final = [
    ("a token that Core refuses", problem(401, "unauthorized", "No"), "unauthorized", None),
    ("a Core that is full", problem(503, "overloaded", "Full", **{"retry-after": "7"}), "busy", 7),
    ("a Core that refuses for good", problem(403, "forbidden", "No"), "refused", None),
    ("a proxy's 404", {"status": 404, **HTML}, "unreachable", None),
    ("a proxy's 502", {"status": 502, **HTML}, "unreachable", None),
    ("a captive portal's page", {"status": 200, **HTML}, "malformed", None),
    ("an answer that is no sync", {"status": 200, "json": {"ok": True}}, "malformed", None),
    ("JSON that is null", {"status": 200, "body": "null"}, "malformed", None),
    ("no network", {"abort": "internetdisconnected"}, "unreachable", None),
    ("a refused connection", {"abort": "connectionrefused"}, "unreachable", None),
]


@pytest.mark.parametrize(
    ("answer", "kind", "wait"), [f[1:] for f in SYNC_FAILURES], ids=[f[0] for f in SYNC_FAILURES]
)
async def test_a_sync_that_fails_says_why(
    page: Page, answer: dict[str, Any], kind: str, wait: float | None
) -> None:
    failed = await sync(page, Answers(answer))
    assert failed["type"] == "SyncFailed"
    assert (failed["failure"]["kind"], failed["failure"]["retryAfter"]) == (kind, wait)


async def test_a_token_callback_is_asked_again_only_for_a_new_token(page: Page) -> None:
    answers = Answers(good(), good(), good())
    await page.route("**/v1/sync*", answers)
    await page.evaluate(
        """async () => {
            const { Transport } = await import("/static/yabam/transport.js");
            let given = 0;
            const transport = new Transport(location.origin, async () => `token-${++given}`);
            const ask = { generation: 1, after: { "store:12": 5 }, epoch: "E1", wait: 0 };
            for (const newToken of [false, false, true]) {
                await transport.sync({ ...ask, newToken }, new AbortController().signal);
            }
        }"""
    )
    sent = [request.headers["authorization"] for request in answers.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_a_token_callback_that_gives_none_is_a_failure_that_passes(page: Page) -> None:
    failed = await sync(page, Answers(), token='() => { throw new Error("signed out"); }')
    assert failed["failure"]["kind"] == "token"
    assert "signed out" in failed["failure"]["detail"]


async def test_the_end_of_a_line_after_a_token_is_no_part_of_it(page: Page) -> None:
    answers = Answers(good())
    await sync(page, answers, token='async () => " k\\n"')
    assert [request.headers["authorization"] for request in answers.requests] == ["Bearer k"]


@pytest.mark.parametrize("token", ["", "geheim-ß", "two words"])
async def test_a_token_that_no_header_can_carry_is_named_as_such(page: Page, token: str) -> None:
    answers = Answers()
    failed = await sync(page, answers, token=json.dumps(token))
    assert failed["failure"]["kind"] == "token"
    assert "not an access token" in failed["failure"]["detail"]
    assert answers.requests == []


async def test_a_report_that_cannot_be_sent_keeps_back_none_after_it(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
            const { ReceiptSender } = await import("/static/yabam/client/receipts.js");
            const { setTimeout } = window;
            const caught = (event) => event.preventDefault();
            window.addEventListener("error", caught);
            // Its pauses take no time.
            window.setTimeout = (call) => queueMicrotask(call);
            const said = [];
            try {
                let calls = 0;
                const sender = new ReceiptSender(async (news) => {
                    calls += 1;
                    if (calls <= 4) throw new Error("a bug");
                    said.push(news);
                    return true;
                });
                sender.applied("first");
                for (let turn = 0; turn < 1000; turn += 1) await Promise.resolve();
                sender.applied("second");
                for (let turn = 0; turn < 1000; turn += 1) await Promise.resolve();
            } finally {
                window.setTimeout = setTimeout;
                window.removeEventListener("error", caught);
            }
            return said;
        }"""
    )
    assert said == ["second"]


# ── commands ─────────────────────────────────────────────────────────────────


async def test_a_command_names_its_key_and_the_version_that_was_seen(page: Page) -> None:
    answers = Answers({"status": 200, "json": cases.order({"id": "a", "version": 3})})
    answer = await send(page, answers, version=2)
    assert (answer["ok"], answer["order"]["version"]) == (True, 3)
    (request,) = answers.requests
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["if-match"] == '"2"'
    assert request.post_data_json == {"to": "ready"}


async def test_a_command_names_the_time_of_the_version_that_was_seen(page: Page) -> None:
    answers = Answers({"status": 200, "json": cases.order({"id": "a", "version": 3})})
    await send(page, answers, version=2, updatedAt=cases.TIME)
    assert answers.requests[0].headers["yabam-if-updated-at"] == cases.TIME


async def test_a_command_without_a_version_goes_for_any(page: Page) -> None:
    answers = Answers({"status": 200, "json": {"id": "a"}})
    await send(page, answers)
    assert not {"if-match", "yabam-if-updated-at"} & answers.requests[0].headers.keys()


async def test_a_refused_command_brings_the_order_as_it_stands(page: Page) -> None:
    refused = problem(412, "stale-version", "The order has changed since you read it")
    body = json.loads(refused["body"]) | {"order": cases.order({"id": "a", "version": 9})}
    answer = await send(page, Answers(refused | {"body": json.dumps(body)}), version=2)
    assert (answer["ok"], answer["problem"], answer["detail"]) == (False, "stale-version", "why")
    assert answer["order"]["version"] == 9


async def test_a_proxys_refusal_names_no_problem(page: Page) -> None:
    answer = await send(page, Answers({"status": 502, **HTML}))
    assert (answer["ok"], answer["status"], answer["problem"]) == (False, 502, None)


async def test_a_command_that_gets_no_answer_throws(page: Page) -> None:
    assert await send(page, Answers({"abort": "connectionreset"})) == {"thrown": "TypeError"}


async def test_a_command_whose_answer_does_not_come_throws(page: Page) -> None:
    forever = asyncio.Event()

    async def silent(route: Route) -> None:
        await forever.wait()
        await route.abort()

    assert await send(page, silent, timeout=50) == {"thrown": "TimeoutError"}
    forever.set()


# ── what was shown ───────────────────────────────────────────────────────────


async def test_orders_that_were_shown_are_said_once_with_the_devices_name(page: Page) -> None:
    asked: list[Json] = []
    statuses = [503, 200]

    async def core(route: Route) -> None:
        request = route.request
        asked.append((request.headers["yabam-device"], request.post_data_json))
        await route.fulfill(status=statuses.pop(0), body="{}")

    await page.route("**/v1/orders/seen", core)
    await page.evaluate(
        """async () => {
            const { shown } = await import("/tests/bench.js");
            await shown(["a", "b", "a"]);
        }"""
    )
    assert asked == [("till-1; mode=live; pending=0", {"orders": ["a", "b"]})] * 2
