"""How much the terminal loads; `python -m tests.bench.terminal_weight` measures the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import brotli
import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from core_api.pages.files import own_files
from tests.browser.accessibility import SCHEMES, shots, violations_in
from tests.browser.restaurant import PAGES, SOON_MS, Store, card, device, opened
from tests.serving import Listener

pytestmark = PAGES

MAX_FILES: Final = 3
"""The page with its styles and scripts, its mark, and its manifest."""
MAX_BYTES: Final = 95_000
"""Less than two seconds at 400 kbit/s, with what is asked for beside them."""
MAX_AGAIN: Final = 1_500
"""A browser asks whether the page has changed, and is told that it has not."""
MAX_UNTIL_SEEN: Final = 12_000
"""A quarter of a second."""
MAX_UNTIL_ASKED: Final = 70_000
_FILES: Final = """() => performance.getEntries()
    .filter(({ name, entryType }) => name.includes("/static/=") || entryType === "navigation")
    .map(({ name, transferSize }) => [name.split("/").at(-1), transferSize])"""
_PAINTED: Final = """() => new Promise((resolve) =>
    new PerformanceObserver((list) => {
        if (list.getEntriesByName("first-contentful-paint").length > 0) resolve();
    }).observe({ type: "paint", buffered: true }))"""


async def is_packed(core: str) -> None:
    """Return once Core sends the page as small as it can be."""
    headers = {"accept-encoding": "br"}
    async with httpx.AsyncClient(base_url=core, timeout=SOON_MS) as client, asyncio.timeout(60):
        while True:
            async with client.stream("GET", "/terminal", headers=headers) as answer:
                if int(answer.headers["content-length"]) <= MAX_BYTES:
                    return
            await asyncio.sleep(0.1)


async def files_of(page: Page) -> dict[str, int]:
    """The files that the page is made of, each with the bytes that came for it."""
    return dict(await page.evaluate(_FILES))


async def test_it_is_a_few_small_files_which_are_asked_for_once(
    store: Store, browser: Browser
) -> None:
    await is_packed(store.site.stack.core_url)
    async with device(browser) as owner:
        cold = await files_of(await opened(owner, store.terminal_url))
        assert len(cold) <= MAX_FILES
        assert 0 < sum(cold.values()) <= MAX_BYTES
        warm = await files_of(await opened(owner, store.terminal_url))
        assert sum(warm.values()) <= MAX_AGAIN


class SlowLine:
    """Sends the first bytes of a page, and the rest once Core has answered a sync, if it is asked.

    Args:
        page: it, or how it begins.
        at_first: so many of its bytes come at once.
        core: Core's address; None: it never answers.
    """

    def __init__(self, page: bytes, at_first: int, core: str | None = None) -> None:
        self._page = page
        self._at_first = at_first
        self._core = core
        self._answered = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        path = first.split(" ")[1]
        if path == "/terminal":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n"
                b"connection: close\r\n\r\n" + self._page[: self._at_first]
            )
            await writer.drain()
            await self._answered.wait()
            writer.write(self._page[self._at_first :])
            await writer.drain()
            return
        if self._core is None or not path.startswith("/v1/sync?"):
            await asyncio.Event().wait()
        headers = dict(line.split(": ", 1) for line in lines)
        async with httpx.AsyncClient(base_url=self._core or "", timeout=SOON_MS) as client:
            token = {"authorization": headers["authorization"]}
            body = (await client.get(path, headers=token)).content
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        self._answered.set()


@asynccontextmanager
async def slow_line(line: SlowLine) -> AsyncIterator[str]:
    """The terminal's address on this line."""
    listener = Listener(line.serve)
    await listener.start()
    try:
        yield f"http://127.0.0.1:{listener.port}/terminal"
    finally:
        await listener.stop()


async def test_the_terminal_is_seen_before_its_scripts_have_come(
    store: Store, browser: Browser
) -> None:
    page = own_files()["terminal/index.html"].body
    shell = page.index(b"//! terminal/texts.js")
    assert len(brotli.compress(page[:shell])) <= MAX_UNTIL_SEEN
    async with slow_line(SlowLine(page, shell)) as url, device(browser) as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}#token={store.owner}", wait_until="commit")
        await terminal.evaluate(_PAINTED)
        await expect(terminal.locator("#opening-mode")).to_have_text("Connecting")
        await expect(terminal.locator("#opening-board")).to_be_visible()
        await terminal.close()
        # Whoever is not signed in is about to sign in, and sees no board.
        other = await owner.new_page()
        await other.goto(url, wait_until="commit")
        await expect(other.locator("#opening-mode")).to_have_text("Opening")
        await expect(other.locator("#opening-board")).to_be_hidden()
        await other.close()


@pytest.mark.parametrize("locale", SCHEMES)
async def test_axe_finds_nothing_wrong_in_what_is_seen_before_the_scripts_have_come(
    store: Store, browser: Browser, locale: str
) -> None:
    page = own_files()["terminal/index.html"].body
    shell = page.index(b"//! terminal/texts.js")
    found = {}
    async with slow_line(SlowLine(page, shell)) as url, device(browser, locale=locale) as owner:
        for state, link in (("board", f"{url}#token={store.owner}"), ("sign-in", url)):
            opening = await owner.new_page()
            await opening.goto(link, wait_until="commit")
            await opening.evaluate(_PAINTED)
            await expect(opening.locator("#opening-mode")).not_to_be_empty()
            found[state] = await violations_in(opening, SCHEMES[locale])
            await shots(opening, f"terminal-opening-{state}-{locale}", SCHEMES[locale])
            await opening.close()
    nothing: dict[str, list[str]] = {"light": [], "dark": []}
    assert found == {"board": nothing, "sign-in": nothing}


async def test_core_is_asked_before_the_board_has_come_and_its_answer_is_on_the_board(
    store: Store, browser: Browser
) -> None:
    order = await store.place()
    page = own_files()["terminal/index.html"].body
    first = page.index(b"</script>", page.index(b"//! terminal/first.js")) + len(b"</script>")
    assert len(brotli.compress(page[:first])) <= MAX_UNTIL_ASKED
    line = SlowLine(page, first, store.site.stack.core_url)
    async with slow_line(line) as url, device(browser) as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}#token={store.owner}", wait_until="commit")
        # The rest of the page comes after Core's answer.
        await card(terminal, order).wait_for()
        await terminal.close()
