"""An installation per test module, and pages that are watched for anything that goes wrong."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from tests.browser.module_page import chromium
from tests.browser.restaurant import SOON_MS, Site, Store
from tests.end_to_end.conftest import create_database

expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Everything, running."""
    # A folder that PostgreSQL's own user may be let into, which pytest's are not.
    folder = Path(tempfile.mkdtemp(prefix="yabam-parts-"))
    postgres, broker = EmbeddedPostgres(folder / "postgres"), EmbeddedBroker(folder)
    try:
        postgres.start()
        broker.start()
        site = Site(create_database(postgres), broker.bootstrap, folder / "site")
        site.stack.migrate()
        try:
            site.stack.start()
            yield site
        finally:
            site.stack.stop()
    finally:
        broker.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def store(site: Site) -> AsyncIterator[Store]:
    """A store that no other test uses."""
    store = Store(site)
    yield store
    await store.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with chromium() as started:
        yield started
