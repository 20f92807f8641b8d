"""The guide of the browser's client: its page over real servers, and the sizes that it tells."""

from __future__ import annotations

import asyncio
import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Request, expect

from client_sdk import Item, OrderProducer
from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from tests.browser.module_page import MODULE, chromium, served
from tests.end_to_end.conftest import Installation, create_database

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser-guide")]

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "browser-client.md").read_text()
SCRIPTS: Final = sorted(MODULE.glob("*.js"))
BRISK: Final = {"YABAM_EVENTS_FETCH_WAIT_MS": "10", "YABAM_POLL_AFTER_MS": "500"}
SOON_MS: Final = 45_000


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Installation]:
    """The whole system, running."""
    # A folder that PostgreSQL's own user may be let into, which pytest's are not.
    folder = Path(tempfile.mkdtemp(prefix="yabam-parts-"))
    postgres, broker = EmbeddedPostgres(folder / "postgres"), EmbeddedBroker(folder)
    try:
        postgres.start()
        broker.start()
        database = create_database(postgres)
        installation = Installation(database, broker.bootstrap, tmp_path, BRISK)
        installation.migrate()
        try:
            installation.start()
            yield installation
        finally:
            installation.stop()
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def shows(page: Page, mode: str, *notes: str) -> None:
    """Return once the page is in this mode and lists these orders."""
    await expect(page.locator("#mode")).to_have_text(mode, timeout=SOON_MS)
    rows = [f"–: placed, {note}" for note in notes]
    await expect(page.locator("li")).to_have_text(rows, timeout=SOON_MS)


async def restarted(stack: Installation, *names: str) -> None:
    """Start these processes, and return once they are ready."""
    chosen = [process for process in stack.processes if process.name in names]
    for process in chosen:
        process.start()
    for process in chosen:
        await asyncio.to_thread(process.wait_ready, 60)


async def test_the_guides_page_shows_every_order_whatever_is_killed(
    stack: Installation, tmp_path: Path
) -> None:
    found = re.search(r"```html\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    own = tmp_path / "own"
    own.mkdir()
    (own / "page.html").write_text(found[1])
    syncs: list[Request] = []
    with served({"/own/": own}) as home:
        async with chromium() as browser, _producer(stack) as producer:
            page = await browser.new_page()
            page.on("request", lambda r: syncs.append(r) if "/v1/sync" in r.url else None)
            token = stack.token("owner", "1")
            await page.goto(f"{home}/own/page.html#core={stack.core_url}&store=1&token={token}")
            await shows(page, "live")
            await _place(producer, "no onions")
            await shows(page, "live", "no onions")

            stack.events.kill()
            await shows(page, "polling", "no onions")
            await _place(producer, "<img src=x onerror=alert(1)>")
            notes = ["no onions", "<img src=x onerror=alert(1)>"]
            await shows(page, "polling", *notes)

            stack.core.kill()
            await shows(page, "offline", *notes)
            await restarted(stack, "core", "events")
            await _place(producer, "well done")
            await shows(page, "live", *notes, "well done")

            syncs.clear()
            await page.reload()
            await shows(page, "live", *notes, "well done")
            query = parse_qs(urlsplit(syncs[0].url).query)
            assert query["lastEventId"] == ["store:1@3"]


def _producer(stack: Installation) -> OrderProducer:
    return OrderProducer(stack.core_url, stack.token("producer", "1"))


async def _place(producer: OrderProducer, note: str) -> None:
    meal = [Item("Bibimbap", 1, 9_500)]
    await producer.place(store_id="1", currency="KRW", items=meal, note=note)


def test_the_guide_names_every_file_of_the_module_once() -> None:
    named = re.findall(r"^\| `([a-z_]+\.js)` \|", GUIDE, re.MULTILINE)
    assert sorted(named) == [path.name for path in SCRIPTS]


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        (r"about ([\d,]+) lines", sum(path.read_text().count("\n") for path in SCRIPTS)),
        (r"and (\d+) kB as they stand", sum(path.stat().st_size for path in SCRIPTS) / 1000),
        (
            r"(\d+) kB compressed",
            len(gzip.compress(b"".join(path.read_bytes() for path in SCRIPTS))) / 1000,
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
    shells = set(re.findall(r"`([a-z_]+\.js)`", found[1]))
    outside = (
        r"fetch\(|setTimeout|setInterval|Date\.now|new Date|Math\.random|performance\b|crypto\b"
    )
    outside += r"|document\b|navigator\b|localStorage|location\b|globalThis|addEventListener"
    for path in SCRIPTS:
        if path.name in shells:
            continue
        code = re.sub(r"//.*|/\*.*?\*/", "", path.read_text())
        assert not re.search(outside, code), path.name
        assert not shells & set(re.findall(r'from "\./(.*?)"', code)), path.name
