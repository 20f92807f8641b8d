"""The guide of the browser's client: its page with real servers, and the sizes that it states."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Request, expect

from client_sdk import Item, OrderProducer
from tests.browser.module_page import MODULE, served
from tests.browser.restaurant import BACK_MS, PAGES_GROUP, Site, Store

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "browser-client.md").read_text()
DOCUMENTS: Final = ("contract/state", "state", "shared_state", "bindings")
"""The folders that the guide names as such."""
ALL: Final = {str(path.relative_to(MODULE)): path for path in sorted(MODULE.rglob("*.js"))}
SCRIPTS: Final = {
    name: path
    for name, path in ALL.items()
    if not any(path.is_relative_to(MODULE / folder) for folder in DOCUMENTS)
}


async def shows(page: Page, mode: str, *notes: str) -> None:
    """Return once the page is in this mode and lists these orders."""
    await expect(page.locator("#mode")).to_have_text(mode, timeout=BACK_MS)
    rows = [f"–: placed, {note}" for note in notes]
    await expect(page.locator("li")).to_have_text(rows, timeout=BACK_MS)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="package")
@PAGES_GROUP
async def test_the_guides_page_shows_every_order_whatever_is_killed(
    mortal_site: Site, store: Store, browser: Browser, tmp_path: Path
) -> None:
    stack = mortal_site.stack
    found = re.search(r"```html\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    (tmp_path / "page.html").write_text(found[1])
    syncs: list[Request] = []
    with served({"/own/": tmp_path}) as home:
        async with await browser.new_context() as device, _producer(store) as producer:
            page = await device.new_page()
            page.on("request", lambda r: syncs.append(r) if "/v1/sync" in r.url else None)
            told = f"core={stack.core_url}&store={store.id}&token={store.owner}"
            await page.goto(f"{home}/own/page.html#{told}")
            await shows(page, "live")
            await _place(producer, store, "no onions")
            await shows(page, "live", "no onions")

            stack.events.kill()
            await shows(page, "polling", "no onions")
            await _place(producer, store, "<img src=x onerror=alert(1)>")
            notes = ["no onions", "<img src=x onerror=alert(1)>"]
            await shows(page, "polling", *notes)

            stack.core.kill()
            await shows(page, "offline", *notes)
            await mortal_site.mend()
            await _place(producer, store, "well done")
            await shows(page, "live", *notes, "well done")

            syncs.clear()
            await page.reload()
            await shows(page, "live", *notes, "well done")
            query = parse_qs(urlsplit(syncs[0].url).query)
            assert query["lastEventId"] == [f"store:{store.id}@3"]


def _producer(store: Store) -> OrderProducer:
    return OrderProducer(store.site.stack.core_url, store.site.token("producer", store.id))


async def _place(producer: OrderProducer, store: Store, note: str) -> None:
    meal = [Item("Bibimbap", 1, 9_500)]
    await producer.place(store_id=store.id, currency="KRW", items=meal, note=note)


def test_the_guide_names_every_file_of_the_module_once() -> None:
    named = re.findall(r"^\| `([a-z_/]+\.js)` \|", GUIDE, re.MULTILINE)
    assert sorted(named) == sorted(SCRIPTS)


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        (r"about ([\d,]+) lines", sum(path.read_text().count("\n") for path in SCRIPTS.values())),
        (
            r"and (\d+) kB as they stand",
            sum(path.stat().st_size for path in SCRIPTS.values()) / 1000,
        ),
        (
            r"(\d+) kB compressed",
            len(gzip.compress(b"".join(path.read_bytes() for path in SCRIPTS.values()))) / 1000,
        ),
    ],
    ids=["lines", "bytes", "compressed"],
)
def test_the_guide_says_how_large_the_module_is(pattern: str, size: float) -> None:
    found = re.search(pattern, GUIDE)
    assert found is not None
    assert int(found[1].replace(",", "")) == pytest.approx(size, rel=0.05)


def test_what_the_guide_calls_pure_reaches_for_nothing_outside() -> None:
    found = re.search(r"All but (.*?) are pure", GUIDE, re.DOTALL)
    assert found is not None
    shells = {*re.findall(r"`([a-z_/]+\.js|[a-z_]+/)`", found[1]), "bindings/"}
    outside = (
        r"fetch\(|setTimeout|setInterval|Date\.now|new Date|Math\.random|performance\b|crypto\b"
    )
    outside += r"|navigator\b|localStorage|location\b|globalThis|addEventListener"
    page = r"|(?<![-'\"/])document\b"

    def is_shell(name: str) -> bool:
        return bool(shells & {name, f"{name.partition('/')[0]}/"})

    for name, path in ALL.items():
        if is_shell(name):
            continue
        code = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        # Elsewhere a document is what is shared.
        assert not re.search(outside + (page if name in SCRIPTS else ""), code), name
        for imported in re.findall(r'from "(\..*?)"', code):
            other = str((path.parent / imported).resolve().relative_to(MODULE.resolve()))
            assert not is_shell(other), f"{name} imports {other}"
