"""Calls the client module in a page of a real browser, served over loopback."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from core_api.pages.joining import joined

MODULE: Final = Path(__file__).parents[2] / "client_sdk" / "javascript"
TESTS: Final = Path(__file__).parent
BENCH: Final = """
import * as bench from "./tests/bench.js";
Object.assign(globalThis, bench);
"""
"""What `served_joined` is to serve where each test uses `bench.js` in a page of its own."""
_KINDS: Final = {".js": "text/javascript", ".html": "text/html"}
_BLANK: Final = b'<!doctype html><meta charset="utf-8"><title>conformance</title>'


@asynccontextmanager
async def chromium(*options: str) -> AsyncIterator[Browser]:
    """A Chromium without a window.

    Args:
        options: further options of its command line.

    Raises:
        AssertionError: no Chromium is installed on this machine.
    """
    # The headless shell has no parts for windows. Starting and using it costs less than half.
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert path, "the browser tests need a Chromium: apt-get install chromium-headless-shell"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *options]
        )
        try:
            yield browser
        finally:
            await browser.close()


async def until(page: Page, condition: str, argument: object = None) -> None:
    """Wait until an async function of the page returns a true value.

    Playwright's own `wait_for_function` takes every promise as true.
    """
    await page.evaluate(
        f"""async (argument) => {{
            const isSo = {condition};
            while (!(await isSo(argument))) await new Promise((done) => setTimeout(done, 20));
        }}""",
        argument,
    )


@contextmanager
def served(folders: Mapping[str, Path]) -> Iterator[str]:
    """Serve the files of each folder under its prefix, and an empty page at /. Yields the URL."""

    class Files(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, kind = _file(folders, self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", f"{kind}; charset=utf-8")
            self.send_header("content-length", str(len(body or b"")))
            self.send_header("cache-control", "no-store")
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_args: object) -> None:
            """Keep requests out of the test's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served_joined(start: str) -> Iterator[str]:
    """Serve the SDK, the scripts of the tests, and a start with all that it imports in one file.

    Our own pages have the SDK so. To ask for each of its sixty modules takes three times the CPU,
    which counts where each test opens a page.

    Args:
        start: a script that becomes `/joined/start.js`. Its imports begin at `./static/yabam/` or
            `./tests/`.
    """
    modules = {
        f"{prefix}/{path.relative_to(folder)}": path.read_text()
        for prefix, folder in (("static/yabam", MODULE), ("tests", TESTS))
        for path in folder.rglob("*.js")
    }
    (script,) = joined(modules | {"start.js": start}, "start.js")
    with TemporaryDirectory() as folder:
        (Path(folder) / "start.js").write_text(script)
        folders = {"/static/yabam/": MODULE, "/tests/": TESTS, "/joined/": Path(folder)}
        with served(folders) as url:
            yield url


def _file(folders: Mapping[str, Path], path: str) -> tuple[bytes | None, str]:
    path = path.partition("?")[0]
    if path == "/":
        return _BLANK, "text/html"
    for prefix, folder in folders.items():
        file = folder / path.removeprefix(prefix)
        if path.startswith(prefix) and ".." not in path and file.is_file():
            return file.read_bytes(), _KINDS.get(file.suffix, "text/plain")
    return None, "text/plain"


class ModulePage:
    """The module in a page, ready for calls.

    Args:
        page: a page from `served`.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    async def answers(self, of: str, cases: list[Any]) -> list[Any]:
        """The module's answers to these cases of the file `of`."""
        told = await self.page.evaluate(
            """async ([of, cases]) => {
                const { answer } = await import("/tests/conformance.js");
                return JSON.stringify(JSON.parse(cases).map((given) => answer(of, given)));
            }""",
            [of, json.dumps(cases)],  # as text: the driver is slow with deep values
        )
        found: list[Any] = json.loads(told)
        return found


@asynccontextmanager
async def module_page(browser: Browser) -> AsyncIterator[ModulePage]:
    """The module in a page on a device of its own; `bench.js` is joined."""
    with served_joined(BENCH) as url:
        async with await browser.new_context() as device:
            page = await device.new_page()
            await page.goto(url)
            yield ModulePage(page)
