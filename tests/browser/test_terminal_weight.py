"""What the terminal costs a slow line; `python -m tests.bench.terminal_weight` tells the time."""

from __future__ import annotations

from typing import Final

from playwright.async_api import Browser, Page

from tests.browser.restaurant import PAGES, Store, device, opened

pytestmark = PAGES

MOST_FILES: Final = 6
"""As many as a browser asks a server of HTTP/1.1 for at once."""
MOST_BYTES: Final = 95_000
"""Less than two seconds at 400 kbit/s, with what is asked for beside them."""
_FILES: Final = """() => performance.getEntriesByType("resource")
    .filter(({ name }) => name.includes("/static/="))
    .map(({ name, transferSize }) => [name.split("/").at(-1), transferSize])"""


async def files_of(page: Page) -> dict[str, int]:
    """The files that the page is made of, each with the bytes that came for it."""
    return dict(await page.evaluate(_FILES))


async def test_it_is_a_few_small_files_which_are_asked_for_once(
    store: Store, browser: Browser
) -> None:
    async with device(browser) as owner:
        cold = await files_of(await opened(owner, store.terminal_url))
        assert {"main.all.js", "base.css", "terminal.css"} <= cold.keys()
        assert len(cold) <= MOST_FILES
        assert 0 < sum(cold.values()) <= MOST_BYTES
        warm = await files_of(await opened(owner, store.terminal_url))
        assert sum(warm.values()) == 0
