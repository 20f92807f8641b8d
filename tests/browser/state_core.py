"""A small Core for documents that answers a page's requests, and tabs that follow it."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from playwright.async_api import BrowserContext, Page, Route

from client_sdk.contract.cursor import parse_cursor
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.values import Value
from tests.conformance.cases import Json
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.order_core import OrderCore

CHANNEL: Final = "party:12/5"
_SETTINGS: Final = {"backoffFirst": 0.02, "backoffMost": 0.1}
CLIENT: Final = """
import { YabamClient } from "./static/yabam/yabam_client.js";
import { subjectOf as subject } from "./static/yabam/state/subject.js";
Object.assign(globalThis, { YabamClient, subject });
"""
"""What `served_joined` is to serve for the tabs."""


class WebCore:
    """A Core for pages. It has no stream, so pages poll."""

    def __init__(self) -> None:
        self.model = CoreModel(large=400)
        self.desk = OrderCore()
        self.syncs: list[str] = []
        self.offline = False
        self.lose_answers = False
        self.hold_syncs = False
        """Commands are answered, but syncs fail."""
        self.tokens: set[str] = set()
        """The tokens that edits were sent with."""
        self.wrong_digests = 0

    async def attach(self, context: BrowserContext) -> None:
        """Answer the requests of the pages in this browser."""
        await context.route("**/v1/**", self._answer)

    def values(self, key: str) -> list[Value | None]:
        """All versions of a document of CHANNEL, from the first."""
        return self.model.state.values.get((CHANNEL, key), [None])[1:]

    async def _answer(self, route: Route) -> None:
        if self.offline:
            await route.abort()
            return
        url = urlsplit(route.request.url)
        named = parse_qs(url.query)
        query = {name: values[0] for name, values in named.items()}
        status: int = 200
        body: Json
        if url.path == "/v1/sync":
            if self.hold_syncs:
                await route.abort()
                return
            self.syncs.append(query.get("lastEventId", ""))
            body = self._sync(query, named["channel"])
        elif url.path.startswith("/v1/orders"):
            headers = route.request.headers
            status, order = self.desk.ask(
                route.request.method,
                url.path,
                headers["idempotency-key"],
                (headers.get("if-match"), headers.get("yabam-if-updated-at")),
                route.request.post_data_buffer or b"",
            )
            if self.lose_answers:
                await route.abort()
                return
            body = json.loads(order)
        elif url.path == "/v1/documents":
            status, body = self._document(query)
        elif route.request.method == "POST":
            self.tokens.add(route.request.headers["authorization"])
            status, body = self.model.post(route.request.post_data_buffer or b"")
            if self.lose_answers:
                await route.abort()
                return
        else:
            settled = self.model.settled(query["client"])
            body = {"settled": settled, "epoch": self.model.epoch}
        await route.fulfill(status=status, content_type="application/json", body=json.dumps(body))

    def _sync(self, query: dict[str, str], channels: list[str]) -> Json:
        after = parse_cursor(query["lastEventId"]) if query.get("lastEventId") else {}
        known = after if query.get("epoch") == self.model.epoch else {}
        return {
            "epoch": self.model.epoch,
            "server_time": "2026-11-21T12:00:00Z",
            "cursor": "",
            "has_more": False,
            "channels": [
                self._documents(known.get(CHANNEL))
                if name == CHANNEL
                else self.desk.sync(name, known.get(name))
                for name in channels
            ],
            "stream": None,
            "poll_after_ms": 100,
        }

    def _documents(self, known: int | None) -> Json:
        model, head = self.model, self.model.head(CHANNEL)
        fresh = known is None
        digest = model.digest(CHANNEL)
        if self.wrong_digests:
            self.wrong_digests -= 1
            digest = "f" * 32
        snapshot = None
        if fresh:
            documents = [_json(one) for one in model.snapshot(CHANNEL, "first_sync").documents]
            snapshot = {"head": head, "documents": documents, "next": None}
        first = head + 1 if known is None else known + 1
        events = [model.event(CHANNEL, n) for n in range(first, head + 1)]
        return {
            "channel": CHANNEL,
            "head": head,
            "digest": "0" * 16,
            "content_digest": digest,
            "reset": "first_sync" if fresh else None,
            "snapshot": snapshot,
            "events": [_json(event) for event in events],
            "has_more": False,
        }

    def _document(self, query: dict[str, str]) -> tuple[int, Json]:
        version = query.get("version")
        found: Document | None = self.model.document(
            query["channel"], query["key"], None if version is None else int(version)
        )
        if found is not None:
            return 200, _json(found)
        return 404, {"type": "urn:yabam:problem:not-found", "title": "Not found", "status": 404}


def _json(value: Any) -> Json:
    return json.loads(msgspec.json.encode(value))


class StateTab:
    """One tab that follows CHANNEL. Its scripts can use `client`, `cart` and `until`."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, context: BrowserContext, url: str, options: str = "{}") -> StateTab:
        """Open a new tab. `options` is JavaScript with further options of the client."""
        tab = cls(await context.new_page())
        await tab.page.goto(url)
        await tab.begin(options)
        return tab

    async def begin(self, options: str = "{}") -> None:
        """Start a client in the page."""
        await self.page.evaluate(
            f"""async () => {{
                await import("/joined/start.js");
                const core = location.origin;
                const settings = {json.dumps(_SETTINGS)};
                window.client = new YabamClient({{
                    core, settings, token: "t1", channels: ["{CHANNEL}"], ...{options},
                }});
                window.until = async (good) => {{
                    while (!good()) await new Promise((resolve) => setTimeout(resolve, 5));
                }};
                client.start();
                window.of = (key) => client.state("{CHANNEL}").get(key);
                window.cart = of("cart");
            }}"""
        )

    async def reload(self, options: str = "{}") -> None:
        """Reload the page and start a new client."""
        await self.page.reload()
        await self.begin(options)

    async def run(self, script: str) -> Json:
        """Run the body of an async function in the page. Returns its result."""
        return await self.page.evaluate(f"async () => {{ {script} }}")
