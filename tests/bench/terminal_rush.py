"""A rush at one terminal: `python -m tests.bench.terminal_rush [orders seconds]`, 100 in 180.

A scripted owner works as fast as the page allows, with a second tap after every press, while orders
arrive. It prints how long that took and how much of it was the page's own work. It fails if a step
was taken by mistake.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

from playwright.async_api import CDPSession

from tests.browser.module_page import chromium
from tests.browser.restaurant import Site, Store, device, opened, running_site
from tests.browser.test_terminal_layout import meal
from tests.browser.test_terminal_taps import work_through

_SCREEN: Final = (1920, 1080)
_SEED: Final = 7
_MAX_S: Final = 700
"""How many seconds it may take, also on a busy machine."""


async def rush(store: Store, count: int, within_s: float) -> tuple[list[dict[str, Any]], float]:
    """Place the orders, spread over this time. Returns them and when the last one was placed."""
    start = time.monotonic()
    placed, last_s = [], 0.0
    for number in range(count):
        placed.append(await store.place(**meal(number)))
        last_s = time.monotonic() - start
        await asyncio.sleep(max(0.0, start + (number + 1) * within_s / count - time.monotonic()))
    return placed, last_s


async def cpu_of(tools: CDPSession) -> float:
    """The CPU seconds that the page's own thread has used, painting included."""
    metrics = (await tools.send("Performance.getMetrics"))["metrics"]
    found = {one["name"]: one["value"] for one in metrics}
    return float(found["TaskDuration"])


async def main(site: Site, count: int, within_s: float) -> int:
    """Work through the rush, and print the result. Returns the exit status."""
    store = Store(site)
    async with chromium() as browser, device(browser, _SCREEN, touch=True) as owner:
        terminal = await opened(owner, store.terminal_url)
        tools = await owner.new_cdp_session(terminal)
        await tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        cpu_s, start = await cpu_of(tools), time.monotonic()
        arriving = asyncio.create_task(rush(store, count, within_s))
        try:
            async with asyncio.timeout(_MAX_S):
                wrong = await work_through(terminal, store, count, seed=_SEED)
        except TimeoutError:
            arriving.cancel()
            served = await terminal.locator('.card[data-status="served"]').count()
            print(f"after {_MAX_S} s only {served} of {count} orders were served")
            return 1
        took_s = time.monotonic() - start
        cpu_s = await cpu_of(tools) - cpu_s
        placed, last_s = await arriving
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
    made = max(1, sum(map(len, steps)) - count)
    print(
        f"the last order came after {last_s:.0f} s; {took_s / made:.2f} s for each step, of which "
        f"the page worked for {1000 * cpu_s / made:.0f} ms of CPU: {cpu_s:.0f} s in all"
    )
    return int(bad > 0 or twice > 0 or served < count)


if __name__ == "__main__":
    orders, seconds = sys.argv[1:] or ("100", "180")
    with running_site() as running:
        status = asyncio.run(main(running, int(orders), float(seconds)))
    sys.exit(status)
