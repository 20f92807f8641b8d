"""One server of the SDK's modules for all tests of the shared state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext

from tests.browser.module_page import served_joined
from tests.browser.state_core import CLIENT, WebCore


@pytest.fixture(scope="package")
def url() -> Iterator[str]:
    with served_joined(CLIENT) as address:
        yield address


@pytest.fixture
def core() -> WebCore:
    return WebCore()


@pytest_asyncio.fixture(loop_scope="package")
async def context(browser: Browser, core: WebCore) -> AsyncIterator[BrowserContext]:
    """A new browser profile, which the tabs of one test share and no other test sees."""
    opened = await browser.new_context()
    await core.attach(opened)
    yield opened
    await opened.close()
