"""A rush at one terminal: `python -m tests.bench.terminal_rush [orders seconds]`, 100 in 180.

A scripted owner works as fast as the page lets anybody, with a second tap after every press, while
orders come in. It prints how long that took, and fails if a step was taken that nobody meant.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

from tests.browser.module_page import chromium
from tests.browser.restaurant import Site, Store, device, opened, running_site
from tests.browser.test_terminal_layout import meal
from tests.browser.test_terminal_taps import work_through

_SCREEN: Final = (1920, 1080)
_SEED: Final = 7
_NOTE_LONG_TASKS: Final = """() => {
    globalThis.longTasks = [0, 0];
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) {
            longTasks[0] += duration;
            longTasks[1] = Math.max(longTasks[1], duration);
        }
    }).observe({ entryTypes: ["longtask"] });
}"""
_MOST_S: Final = 700
"""So many seconds it may take, on a busy machine too."""


async def rush(store: Store, count: int, within_s: float) -> list[dict[str, Any]]:
    """Place so many orders, spread over so many seconds."""
    start = time.monotonic()
    placed = []
    for number in range(count):
        placed.append(await store.place(**meal(number)))
        await asyncio.sleep(max(0.0, start + (number + 1) * within_s / count - time.monotonic()))
    return placed


async def main(site: Site, count: int, within_s: float) -> int:
    """Work it through, and say what came of it. Returns the exit status."""
    store = Store(site)
    async with chromium() as browser, device(browser, _SCREEN, touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        await terminal.evaluate(_NOTE_LONG_TASKS)
        start = time.monotonic()
        arriving = asyncio.create_task(rush(store, count, within_s))
        try:
            async with asyncio.timeout(_MOST_S):
                wrong = await work_through(terminal, store, count, seed=_SEED)
        except TimeoutError:
            arriving.cancel()
            served = await terminal.locator('.card[data-status="served"]').count()
            print(f"after {_MOST_S} s only {served} of {count} orders were served")
            return 1
        took_s = time.monotonic() - start
        busy_ms, longest_ms = await terminal.evaluate("longTasks")
        placed = await arriving
    steps = [await store.events(order["id"]) for order in placed]
    await store.close()
    bad = sum(1 for one in wrong if one)
    twice = sum(1 for one in steps if len(one) != len(set(one)))
    served = sum(1 for one in steps if one[-1] == "order.served")
    print(
        f"{count} orders in {within_s:g} s: all worked through after {took_s:.0f} s, "
        f"{sum(map(len, steps)) - count} steps, {served} served; "
        f"{bad} with a step that was not meant, {twice} with one taken twice"
    )
    each_s = took_s / max(1, sum(map(len, steps)) - count)
    print(
        f"{each_s:.2f} s for each step; the page was busy for {busy_ms / 1000:.0f} s in tasks of "
        f"more than 50 ms, the longest of {longest_ms:.0f} ms"
    )
    return int(bad > 0 or twice > 0 or served < count)


if __name__ == "__main__":
    orders, seconds = sys.argv[1:] or ("100", "180")
    with running_site() as running:
        status = asyncio.run(main(running, int(orders), float(seconds)))
    sys.exit(status)
