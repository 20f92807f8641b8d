"""Checks a page with axe-core."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Final, Literal

from playwright.async_api import Page

from tests.browser.restaurant import SHOTS

_AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()
SIDEWAYS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""By how much the page is wider than its window."""


Scheme = Literal["light", "dark"]
SCHEMES: Final[dict[str, tuple[Scheme, Scheme]]] = {
    "ko-KR": ("light", "dark"),
    "en-US": ("dark", "light"),
}
"""For each language, the order in which a page's colours are checked. The orders differ, so that
what disappears by itself after a while is checked in both colours."""


async def violations_in(page: Page, schemes: Iterable[Scheme]) -> dict[Scheme, list[str]]:
    """The violations in the page as it is now, in these colours one after the other."""
    found = {}
    for scheme in schemes:
        # Without motion: colours in a transition are neither light nor dark.
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found[scheme] = await violations(page)
    return found


async def shots(
    page: Page, name: str, schemes: Iterable[Scheme], *, full_page: bool = False
) -> None:
    """Save a screenshot in each of these colours."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.screenshot(path=SHOTS / f"{name}-{scheme}.png", full_page=full_page)


async def violations(page: Page) -> list[str]:
    """Each rule with the elements that break it."""
    # axe-core is half a megabyte, so it is sent once to each document, not for each check.
    if await page.evaluate("globalThis.axe === undefined"):
        await page.evaluate(f"(() => {{ {_AXE} }})()")
    found: dict[str, Any] = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {', '.join(str(node['target']) for node in one['nodes'])}"
        for one in found["violations"]
    ]
