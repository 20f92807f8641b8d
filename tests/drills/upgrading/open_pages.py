"""Terminals in a real Chromium while servers are replaced, and the check of what they show.

One is opened from the previous release and never reloaded, so its script is the old one to the end.
Another one is opened again before each replacement, from the Core that runs then, so that a page of
the new release also meets servers of the previous one. Both follow a store of their own, in which
orders are placed and changed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import httpx
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.module_page import chromium
from tests.chaos.proof import OVER, Ledger, Standing, Verdict
from tests.chaos.site import Site

_STORE: Final = "open-pages"
_ITEMS: Final = [{"name": "Bibimbap", "quantity": 1, "unit_price": 9_500}]
_STEPS: Final = ("accepted", "preparing", "ready", "served", "paid")
_OPEN: Final = 6
"""So many orders stay open, so that a page shows some at the end."""
_ORDER_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.2
_WITHIN_MS: Final = 120_000
_SHOWN: Final = """() => [...document.querySelectorAll("#board .card:not([data-over])")]
    .map((card) => [card.dataset.press, card.dataset.status])"""


class OpenPages:
    """The terminals, and the writer of their store's orders.

    Args:
        site: the installation.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._token = site.token("open-pages", "owner", _STORE)
        self._ending = contextlib.AsyncExitStack()
        self._browser: Browser | None = None
        self._pages: dict[str, Page] = {}
        self._anew: BrowserContext | None = None
        self._errors: list[str] = []
        self._resting = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._open_orders: deque[tuple[str, int]] = deque()

    async def start(self) -> None:
        """Open a page, the first time two of them, and begin to place orders."""
        if self._browser is None:
            self._browser = await self._ending.enter_async_context(chromium())
            _, self._pages["left open"] = await self._open(self._browser)
        self._anew, self._pages["opened anew"] = await self._open(self._browser)
        self._resting = asyncio.Event()
        self._writing = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Stop placing orders, and close the page that was opened last."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._anew is not None:
            await self._anew.close()
            self._anew = None

    async def close(self) -> None:
        """Close all pages."""
        await self._ending.aclose()

    async def rest(self, within_s: float) -> bool:
        """Place no more orders. Returns whether all writes succeeded; `judge` says why not."""
        self._resting.set()
        if self._writing is None:
            return False
        await asyncio.wait([self._writing], timeout=within_s)
        if not self._writing.done():
            return False
        if (error := self._writing.exception()) is not None:
            self._errors.append(f"its orders ended: {error!r}")
        return error is None

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """Compare what each page shows with the database, as soon as it agrees or time is over."""
        expected = (await ledger.open_orders()).get(f"store:{_STORE}", {})
        verdict = Verdict()
        for name, page in self._pages.items():
            verdict.add(await _judged(f"the terminal {name}", page, expected, within_s))
        for error in self._errors:
            verdict.add(Verdict(lost=1, notes=[f"open pages: {error}"]))
        self._errors.clear()
        return verdict

    async def _open(self, browser: Browser) -> tuple[BrowserContext, Page]:
        context = await browser.new_context(service_workers="block", locale="en-US")
        page = await context.new_page()
        page.on("pageerror", lambda error: self._errors.append(f"one raised {error}"))
        await page.goto(f"{self._site.core_url}/terminal#token={self._token}", timeout=_WITHIN_MS)
        await page.locator('#lamp[data-mode="live"]').wait_for(timeout=_WITHIN_MS)
        await page.evaluate("() => { window.notLoadedAnew = true; }")
        return context, page

    async def _write(self) -> None:
        headers = {"authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(
            base_url=self._site.core_url, timeout=30, headers=headers
        ) as http:
            while not self._resting.is_set():
                # Core allows only so many open orders at a table.
                if len(self._open_orders) < _OPEN:
                    await self._place(http)
                else:
                    await self._step(http)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ORDER_EVERY_S):
                        await self._resting.wait()

    async def _place(self, http: httpx.AsyncClient) -> None:
        body = {"store_id": _STORE, "table_id": "1", "currency": "KRW", "items": _ITEMS}
        order = await _posted(http, "/v1/orders", body)
        self._open_orders.append((order["id"], 0))

    async def _step(self, http: httpx.AsyncClient) -> None:
        """Give the oldest open order its next status, and put it at the end of the queue."""
        order, steps = self._open_orders.popleft()
        await _posted(http, f"/v1/orders/{order}/transitions", {"to": _STEPS[steps]})
        if _STEPS[steps] not in OVER:
            self._open_orders.append((order, steps + 1))


async def _posted(http: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Core's answer; while no Core answers, the request is sent again with the same key."""
    headers = {"idempotency-key": str(uuid.uuid4())}
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post(path, json=body, headers=headers)
            if answer.status_code < 500:
                answer.raise_for_status()
                found: dict[str, Any] = answer.json()
                return found
        await asyncio.sleep(_LOOK_EVERY_S)


async def _judged(
    name: str, page: Page, expected: Mapping[str, Standing], within_s: float
) -> Verdict:
    """Compare one page with the open orders of its store."""
    wanted = {order: standing.status for order, standing in expected.items()}
    deadline = time.monotonic() + within_s
    shown = await _shown(page)
    while shown != wanted and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_EVERY_S)
        before, shown = shown, await _shown(page)
        if shown != before:
            deadline = time.monotonic() + within_s
    verdict = Verdict()
    if shown != wanted:
        verdict.add(Verdict(lost=1, notes=[f"{name} shows {shown}, not {wanted}"]))
    if not wanted:
        verdict.add(Verdict(lost=1, notes=[f"{name} had nothing to show"]))
    if not await page.evaluate("() => window.notLoadedAnew === true"):
        verdict.add(Verdict(lost=1, notes=[f"{name} has loaded itself anew"]))
    return verdict


async def _shown(page: Page) -> dict[str, str]:
    """The statuses of the open orders on the board, by their ids."""
    return dict(await page.evaluate(_SHOWN))
