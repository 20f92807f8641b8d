"""The pictures in docs/images. Run `make pictures` after a page changes, and look at each of them.

Each page is shown at four widths: with one order and with a hundred, or without and with faults.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.browser.module_page import chromium
from tests.browser.ops_desk import a_day, ops_desk, well, with_faults
from tests.browser.restaurant import Site, Store, device, opened, running_site, still
from tests.browser.test_terminal_layout import SCREENS, fill, meal
from tests.integration.core_service import token

FOLDER: Final = Path("docs/images")
MAX_BYTES: Final = 300_000
MAX_PIXELS: Final = 1920
"""The largest width: the picture of a wall display is half its size."""
_COLOURS: Final = (256, 64, 32)
_IN_A_RUSH: Final = 31
_CALM: Final = "reduce"


class PictureError(Exception):
    """A picture is larger than allowed; the text says which."""


async def take(page: Page, name: str) -> None:
    """Save a picture of the page, with as many colours as fit into `MAX_BYTES`.

    Raises:
        PictureError: it is larger than `MAX_BYTES`.
    """
    await page.wait_for_function("() => document.getAnimations().length === 0")
    taken = Image.open(BytesIO(await page.screenshot())).convert("RGB")
    if taken.width > MAX_PIXELS:
        taken = taken.reduce(taken.width // MAX_PIXELS)
    path = FOLDER / f"{name}.png"
    for colours in _COLOURS:
        # With an octree, because the median cut drops small things such as a green lamp.
        few = taken.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        if (size := path.stat().st_size) <= MAX_BYTES:
            print(f"{path}: {size // 1000} kB, {colours} colours", flush=True)
            return
    raise PictureError(f"{path} has {size} bytes, more than {MAX_BYTES}")


async def at_each_width(page: Page, name: str, state: str) -> None:
    """Take a picture of the page at each width."""
    for width, (across, high) in SCREENS.items():
        await page.set_viewport_size({"width": across, "height": high})
        await page.evaluate("new Promise(requestAnimationFrame)")
        await take(page, f"{name}-{width}-{state}")


@asynccontextmanager
async def showing(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A page whose lamp says live, without animations."""
    async with device(browser, touch=True) as visitor:
        page = await opened(visitor, url)
        await page.emulate_media(reduced_motion=_CALM)
        yield page


async def terminal(site: Site, browser: Browser) -> None:
    """The board, its panel and its sheets."""
    for count in (1, _IN_A_RUSH, 100):
        store = Store(site)
        await fill(store, count)
        async with showing(browser, store.terminal_url) as page:
            await expect(page.locator(".card")).to_have_count(count)
            await page.locator("#sound-hint").click()
            await still(page)
            if count == _IN_A_RUSH:
                for name, size in (("", (1920, 1080)), ("-360", (360, 740)), ("-800", (800, 1280))):
                    await page.set_viewport_size({"width": size[0], "height": size[1]})
                    await take(page, f"terminal{name}")
            else:
                await at_each_width(page, "terminal", str(count))
                await page.locator("#open-kitchen").click()
                await at_each_width(page, "kitchen", str(count))
                await page.locator("#open-kitchen").click()
                await page.locator("[data-action=history]").click()
                await expect(page.locator("#history li").first).to_be_visible()
                await at_each_width(page, "history", str(count))
        await store.close()


async def sign_in(site: Site, browser: Browser) -> None:
    """The page where an owner signs in or a new tablet is paired."""
    async with device(browser) as visitor:
        page = await visitor.new_page()
        await page.goto(f"{site.stack.core_url}/terminal")
        await page.locator("#pair").wait_for()
        await at_each_width(page, "sign-in", "new")


async def table(site: Site, browser: Browser) -> None:
    """The guest's page."""
    for count in (1, 100):
        store = Store(site)
        for number in range(count):
            await store.place(**{**meal(number), "table_id": "5"})
        async with showing(browser, store.table_url("5")) as page:
            await expect(page.locator("#orders .order")).to_have_count(count)
            await expect(page.locator(".dish")).to_have_count(8)
            await at_each_width(page, "table", str(count))
        await store.close()


async def ops(site: Site, browser: Browser) -> None:
    """The ops page and the runbook."""
    async with ops_desk() as desk, device(browser) as visitor:
        desk.grafana, desk.day = "https://grafana.example/d/yabam", a_day()
        for state, figures in (("well", well), ("faults", with_faults)):
            desk.figures = figures()
            page = await visitor.new_page()
            await page.emulate_media(reduced_motion=_CALM)
            await page.goto(f"{desk.url}/ops#token={token('ops')}")
            await expect(page.locator("#figures")).to_be_visible()
            await page.get_by_role("radio", name="1 day").check()
            await page.evaluate("scrollTo(0, 0)")
            await at_each_width(page, "ops", state)
        await page.goto(f"{site.stack.core_url}/runbook")
        await at_each_width(page, "runbook", "page")


PAGES: Final[dict[str, Callable[[Site, Browser], Awaitable[None]]]] = {
    "terminal": terminal,
    "sign-in": sign_in,
    "table": table,
    "ops": ops,
}


async def main(site: Site, names: list[str]) -> None:
    """Take the pictures of these pages. No names: of all pages."""
    async with chromium() as browser:
        for name in names or PAGES:
            await PAGES[name](site, browser)


if __name__ == "__main__":
    with running_site() as running:
        asyncio.run(main(running, sys.argv[1:]))
