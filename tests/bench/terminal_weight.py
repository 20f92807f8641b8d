"""How long the terminal takes to open on a slow line: `python -m tests.bench.terminal_weight`.

It uses Chromium's own emulation: 400 kbit/s, 400 ms until an answer begins. Cold: the browser has
no files of the pages. Warm: the page was open before in the same browser, with or without a worker.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Any, Final, Literal

from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.module_page import chromium
from tests.browser.restaurant import Site, Store, card, opened, running_site

TRIES: Final = 3
SLOW_3G: Final = {
    "offline": False,
    "latency": 400,
    "downloadThroughput": 400_000 / 8,
    "uploadThroughput": 400_000 / 8,
}
_PAINTED: Final = """() => new Promise((resolve) =>
    new PerformanceObserver((list) => {
        const [shown] = list.getEntriesByName("first-contentful-paint");
        if (shown) resolve(shown.startTime);
    }).observe({ type: "paint", buffered: true }))"""
_ASKED: Final = """() => performance.getEntries()
    .filter(({ name, entryType }) => name.includes("/static/") || entryType === "navigation")
    .map(({ transferSize }) => transferSize)"""


async def slow(context: BrowserContext, page: Page) -> None:
    """Make the page's connection slow from now on."""
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", SLOW_3G)


async def measure(context: BrowserContext, url: str, order: dict[str, Any]) -> dict[str, float]:
    """Milliseconds until something is visible and until the board has its order; files loaded."""
    page = await context.new_page()
    await slow(context, page)
    await page.goto(url, wait_until="commit")
    painted = await page.evaluate(_PAINTED)
    await card(page, order).wait_for()
    board = await page.evaluate("performance.now()")
    sizes: list[float] = await page.evaluate(_ASKED)
    await page.close()
    return {
        "painted": painted,
        "board": board,
        "files": len([size for size in sizes if size > 0]),
        "kilobytes": sum(sizes) / 1000,
    }


async def one_round(
    browser: Browser, store: Store, workers: Literal["allow", "block"]
) -> dict[str, dict[str, float]]:
    """Measure a cold start, and a warm one in the same browser."""
    order = await store.place()
    context = await browser.new_context(service_workers=workers)
    try:
        cold = await measure(context, store.terminal_url, order)
        page = await opened(context, store.terminal_url)
        if workers == "allow":
            await page.evaluate("navigator.serviceWorker?.ready")
        await page.close()
        return {"cold": cold, "warm": await measure(context, store.terminal_url, order)}
    finally:
        await context.close()


async def main(site: Site) -> None:
    """Print the medians."""
    async with chromium() as browser:
        for workers in ("block", "allow"):
            rounds = []
            for _ in range(TRIES):
                store = Store(site)
                rounds.append(await one_round(browser, store, workers))
                await store.close()
            for start in ("cold", "warm"):
                of = {
                    name: round(statistics.median(one[start][name] for one in rounds), 1)
                    for name in rounds[0][start]
                }
                print(f"{start}, worker {workers}ed: {of}")


if __name__ == "__main__":
    with running_site() as running:
        asyncio.run(main(running))
