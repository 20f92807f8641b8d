"""What axe-core finds wrong in a page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from playwright.async_api import Page

_AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()
SIDEWAYS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""By how much the page is wider than its window."""


async def violations(page: Page) -> list[str]:
    """Each rule with the elements that break it."""
    # Half a megabyte: sent once to each document that is looked at, not with each question.
    if await page.evaluate("globalThis.axe === undefined"):
        await page.evaluate(f"(() => {{ {_AXE} }})()")
    found: dict[str, Any] = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {', '.join(str(node['target']) for node in one['nodes'])}"
        for one in found["violations"]
    ]
