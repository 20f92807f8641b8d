"""One installation and one Chromium for the tests of the pages, and a store for each test.

The modules that use them stand in one group, `PAGES`: one worker runs them, one after the other.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from deploy.local.broker import EmbeddedBroker
from deploy.local.postgres import EmbeddedPostgres
from tests.browser.module_page import chromium
from tests.browser.restaurant import CHROMIUM_OPTIONS, SOON_MS, Site, Store
from tests.parts import migrated_database

expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """Everything, running; who kills a part of it asks for `mortal_site`."""
    # A folder that PostgreSQL's own user may be let into, which pytest's are not.
    folder = Path(tempfile.mkdtemp(prefix="yabam-parts-"))
    postgres = EmbeddedPostgres(folder / "postgres", durable=False)
    broker = EmbeddedBroker(folder)
    try:
        postgres.start()
        broker.start()
        site = Site(asyncio.run(migrated_database(postgres)), broker.bootstrap, folder / "site")
        try:
            site.stack.start()
            yield site
        finally:
            site.stack.kill()
    finally:
        broker.kill()
        postgres.stop_at_once()
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="package")
async def mortal_site(site: Site) -> AsyncIterator[Site]:
    """The same, for tests that kill parts of it: all of it runs again afterwards."""
    yield site
    await site.mend()


@pytest_asyncio.fixture(loop_scope="package")
async def store(site: Site) -> AsyncIterator[Store]:
    """A store that no other test uses."""
    store = Store(site)
    yield store
    await store.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; a test has devices of its own in it."""
    async with chromium(*CHROMIUM_OPTIONS) as started:
        yield started
