"""One installation and one Chromium for the tests of the pages, and a store for each test.

The modules that use them form two groups, one for the terminal and one for all other pages. As one
group they would keep one worker busy longer than all other tests take.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.module_page import chromium
from tests.browser.restaurant import (
    CHROMIUM_OPTIONS,
    PAGES_GROUP,
    SOON_MS,
    Site,
    Store,
    running_site,
)

_HERE = Path(__file__).parent
_TERMINAL = pytest.mark.xdist_group("browser-terminal")

expect.set_options(timeout=SOON_MS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the terminal's tests into their own group (pytest-xdist joins the names of both)."""
    for item in items:
        of_the_terminal = item.path.parent == _HERE and item.path.name.startswith("test_terminal")
        if of_the_terminal and item.get_closest_marker("xdist_group") == PAGES_GROUP.mark:
            item.add_marker(_TERMINAL)


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """The running system. Tests that kill parts of it use `mortal_site`."""
    with running_site() as site:
        yield site


@pytest_asyncio.fixture(loop_scope="package")
async def mortal_site(site: Site) -> AsyncIterator[Site]:
    """The same for tests that kill parts of it. Afterwards all parts run again."""
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
    """Debian's Chromium. Each test opens its own devices in it."""
    async with chromium(*CHROMIUM_OPTIONS) as started:
        yield started
