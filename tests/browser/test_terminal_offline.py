"""The terminal where there is no network: it opens from its copy, and a new release still comes."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from playwright.async_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core_api.pages.files import FOLDERS, read_files
from core_api.pages.serving import Pages, content_policy
from tests.browser.restaurant import (
    PAGES,
    Site,
    Store,
    card,
    device,
    has_kept,
    lit,
    opened,
    until_ready,
)

pytestmark = PAGES


async def has_its_copy(page: Page, text: str = "") -> None:
    """Return once the browser keeps a copy of the page with this text, with all its files."""
    await page.wait_for_function(
        """async (text) => {
            const cache = await caches.open("yabam-terminal");
            const copy = await (await cache.match("/terminal"))?.text();
            const wanted = [...document.querySelectorAll("link[rel=stylesheet], script[src]")];
            const address = (one) => one.getAttribute("href") ?? one.getAttribute("src");
            const has = (part) => copy?.includes(part);
            const isKept = has(text) && wanted.every((one) => has(address(one)));
            return navigator.serviceWorker.controller !== null && isKept;
        }""",
        arg=text,
    )


async def test_it_opens_without_a_network_and_sends_what_was_pressed_when_there_is_one(
    mortal_site: Site, store: Store, browser: Browser
) -> None:
    async with device(browser, workers="allow") as owner:
        terminal = await opened(owner, store.terminal_url)
        order = await store.place()
        await card(terminal, order).wait_for()
        await has_kept(terminal, store, 1)
        await has_its_copy(terminal)
        for process in (mortal_site.stack.core, mortal_site.stack.events):
            await asyncio.to_thread(process.kill)
        await terminal.reload()
        await card(terminal, order).locator('[data-to="accepted"]').click()
        await expect(card(terminal, order).locator(".retrying")).to_be_visible()
        # What was pressed outlasts its tab, without a network.
        await terminal.close()
        terminal = await owner.new_page()
        await terminal.goto(store.terminal_url)
        await expect(card(terminal, order).locator(".sending-note")).to_be_visible()
        await lit(terminal, "offline")
        for process in (mortal_site.stack.core, mortal_site.stack.events):
            process.start()
        await until_ready(mortal_site.stack.core, mortal_site.stack.events)
        await lit(terminal, "live")
        await expect(card(terminal, order)).to_have_attribute("data-status", "accepted")
        await expect(card(terminal, order).locator(".sending-note")).to_have_count(0)
        assert await store.events(order["id"]) == ["order.placed", "order.accepted"]


class Releases:
    """A Core of pages alone, whose release can be changed, and which can be gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages: ASGIApp | None = None
        for name in ("terminal", "table", "ops", "shared"):
            shutil.copytree(FOLDERS[""] / name, folder / name)

    def release(self, title: str) -> None:
        """Serve a page that says so."""
        page = self._folder / "terminal/texts.js"
        text = (FOLDERS[""] / "terminal/texts.js").read_text()
        page.write_text(text.replace('"Store terminal"', f'"{title}"'))
        pages = Pages(read_files({**FOLDERS, "": self._folder}), content_policy([]))
        self._pages = Starlette(routes=pages.routes())

    def fail(self) -> None:
        """Answer as a proxy does that finds no Core."""
        self._pages = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        answer = self._pages or Response("Bad Gateway", 502)
        await answer(scope, receive, send)


class Quiet(uvicorn.Server):
    """A server that leaves the signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[str]:
    """The application on a port of its own: its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Quiet(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def test_a_new_release_is_there_at_the_next_start_and_is_the_copy_from_then_on(
    browser: Browser, tmp_path: Path
) -> None:
    releases = Releases(tmp_path)
    releases.release("The first")
    async with running(releases) as url, device(browser, workers="allow") as owner:
        terminal = await owner.new_page()
        await terminal.goto(f"{url}/terminal")
        title = terminal.locator("#sign-in h1")
        await expect(title).to_have_text("The first")
        await has_its_copy(terminal)
        releases.release("The second")
        await terminal.reload()
        # On a busy machine the page comes too late, and is the copy of the next start.
        await has_its_copy(terminal, "The second")
        await terminal.reload()
        await expect(title).to_have_text("The second")
        releases.fail()
        await terminal.reload()
        await expect(title).to_have_text("The second")
        names = await terminal.evaluate(
            "caches.open('yabam-terminal').then((cache) => cache.keys()).then((all) =>"
            " all.map(({ url }) => url.split('/').at(-1)))"
        )
        # Nothing of the first is left.
        assert len(names) == len(set(names))
