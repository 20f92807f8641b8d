"""The guide of the browser's client: its page works, and the sizes that it tells are so."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Route

from tests.browser.module_page import STATIC, chromium, served
from tests.conformance.cases import TIME, event, response

pytestmark = pytest.mark.xdist_group("module-shell")

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "browser-client.md").read_text()
MODULE: Final = sorted((STATIC / "yabam").glob("*.js"))


async def test_the_guides_page_shows_what_is_open_and_what_is_pushed(tmp_path: Path) -> None:
    found = re.search(r"```html\n(.*?)```", GUIDE, re.DOTALL)
    assert found is not None
    (tmp_path / "page.html").write_text(found[1])
    hostile = {"id": "b", "note": "<img src=x onerror=alert(1)>", "table_id": None}
    pushed = event({"seq": 6, "channel": "store:1", "order": hostile})
    first = {"id": "a", "note": "no onions"}
    with served({"/static/": STATIC}) as core, served({"/own/": tmp_path}) as own:
        stream = {"url": f"{core}/v1/stream", "ticket": "t", "expires_in": 30}

        async def sync(route: Route) -> None:
            channel = {
                "channel": "store:1",
                "reset": "first_sync",
                "digest": "2b2c40a6706d9e5f",
                "snapshot": {"head": 5, "orders": [first]},
            }
            answer = response({"channels": [channel], "stream": stream})
            await route.fulfill(json=answer, headers=_CROSS_ORIGIN)

        async def follow(route: Route) -> None:
            hello = {"epoch": "E1", "watermark": TIME}
            body = f"event: hello\ndata: {json.dumps(hello)}\n\n"
            body += f"event: order.placed\ndata: {json.dumps(pushed)}\n\n"
            headers = _CROSS_ORIGIN | {"content-type": "text/event-stream"}
            await route.fulfill(body=body, headers=headers)

        async with chromium() as browser:
            page = await browser.new_page()
            await page.route("**/v1/sync*", sync)
            await page.route("**/v1/stream*", follow)
            await page.goto(f"{own}/own/page.html#core={core}&store=1&token=k")
            await page.wait_for_function("() => document.querySelectorAll('li').length === 2")
            rows = await page.locator("li").all_text_contents()
    assert rows == ["5: placed, no onions", "–: placed, <img src=x onerror=alert(1)>"]


_CROSS_ORIGIN: Final = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}


def test_the_guide_names_every_file_of_the_module_once() -> None:
    named = re.findall(r"^\| `([a-z]+\.js)` \|", GUIDE, re.MULTILINE)
    assert sorted(named) == [path.name for path in MODULE]


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        (r"about ([\d,]+) lines", sum(path.read_text().count("\n") for path in MODULE)),
        (r"and (\d+) kB as they stand", sum(path.stat().st_size for path in MODULE) / 1000),
        (
            r"(\d+) kB compressed",
            len(gzip.compress(b"".join(path.read_bytes() for path in MODULE))) / 1000,
        ),
    ],
    ids=["lines", "bytes", "compressed"],
)
def test_the_guide_says_how_large_the_module_is(pattern: str, size: float) -> None:
    found = re.search(pattern, GUIDE)
    assert found is not None
    assert int(found[1].replace(",", "")) == pytest.approx(size, rel=0.05)
