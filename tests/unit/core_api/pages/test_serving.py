"""How pages and their files are sent: compressed, kept where their address changes with them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import threading
from base64 import b64encode
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette

from core_api.pages.files import CODINGS, read_files
from core_api.pages.joining import JoiningError
from core_api.pages.serving import Pages

PAGE = (
    '<link rel="icon" href="/static/shared/icon.svg">\n'
    '<link rel="stylesheet" href="/static/shared/base.css">\n'
    '<script type="module" src="/static/shop/main.js"></script>\n'
)
KEPT = "public, max-age=31536000, immutable"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "shop/index.html": PAGE,
        "shop/main.js": 'import { a } from "../shared/a.js";\nconsole.log(a);\n',
        "shared/a.js": "export const a = 1;\n",
        "shared/icon.svg": "<svg></svg>",
        "shared/base.css": "p { color: red }\n" * 100,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


class Client:
    """Asks for the pages of a folder."""

    def __init__(self, folder: Path) -> None:
        pages = Pages(read_files({"": folder}), [])
        app = Starlette(routes=pages.routes({"/shop": "shop/index.html"}))
        self._transport = httpx.ASGITransport(app)

    def get(self, path: str, headers: dict[str, str]) -> httpx.Response:
        """The answer."""

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://it") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def client(folder: Path) -> Client:
    return Client(folder)


def addresses(page: str) -> list[str]:
    """What the page names, in its order."""
    return re.findall(r'="/(static/[^"]+)"', page)


def get(client: Client, path: str, coding: str = "gzip") -> httpx.Response:
    return client.get(path, headers={"accept-encoding": coding})


def test_a_page_holds_its_styles_and_a_script_with_all_that_it_imports(client: Client) -> None:
    page = get(client, "/shop").text
    assert "const a=1;" in page
    assert "p { color: red }" in page
    (icon,) = addresses(page)
    assert icon.endswith("/shared/icon.svg")


def test_the_policy_lets_what_a_page_holds_run_and_nothing_else(client: Client) -> None:
    page = get(client, "/shop")
    for tag in ("script", "style"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        policy = page.headers["content-security-policy"]
        assert f"{tag}-src 'self' 'sha256-{digest}';" in policy
    other = get(client, "/static/shared/base.css").headers["content-security-policy"]
    assert "sha256-" not in other
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]


@pytest.mark.parametrize("end", ["</script>", "<!--", "</STYLE"])
def test_a_script_that_would_end_itself_is_refused(folder: Path, end: str) -> None:
    (folder / "shared/a.js").write_text(f'export const a = "{end}";\n')
    with pytest.raises(JoiningError, match="a script of a page must not hold"):
        read_files({"": folder})


def test_what_a_page_names_is_kept_for_ever_and_the_page_is_asked_for(client: Client) -> None:
    page = get(client, "/shop")
    assert page.headers["cache-control"] == "no-cache"
    (icon,) = addresses(page.text)
    assert get(client, f"/{icon}").headers["cache-control"] == KEPT
    assert get(client, "/static/shop/main.js").headers["cache-control"] == "no-cache"


def test_another_content_has_another_address(client: Client, folder: Path) -> None:
    (before,) = addresses(get(client, "/shop").text)
    (folder / "shared/icon.svg").write_text("<svg><!-- newer --></svg>")
    newer = Client(folder)
    (now,) = addresses(get(newer, "/shop").text)
    assert now != before
    # Whose page came from a Core of the release before gets a file, and does not keep it.
    other = get(newer, f"/{before}")
    assert "newer" in other.text
    assert other.headers["cache-control"] == "no-cache"


def test_a_page_of_the_previous_release_gets_the_script_that_it_names(client: Client) -> None:
    script = get(client, f"/static/={'0' * 20}/shop/main.all.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-cache"
    assert "const a = 1;" in script.text


def test_the_digests_are_of_what_a_browser_reads_where_lines_end_with_two_signs(
    folder: Path,
) -> None:
    plain = get(Client(folder), "/shop")
    for path in folder.rglob("*.*"):
        if path.suffix != ".svg":
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    page = get(Client(folder), "/shop")
    assert page.content == plain.content
    policy = "content-security-policy"
    assert page.headers[policy] == plain.headers[policy]


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip", "gzip"), ("gzip, deflate, br, zstd", "br"), ("br", "br")]
)
def test_files_are_compressed_for_who_takes_that(
    client: Client, accepted: str, coding: str
) -> None:
    plain = get(client, "/static/shared/base.css", "identity")
    packed = get(client, "/static/shared/base.css", accepted)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == coding
    assert packed.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert packed.content == plain.content
    for refuses in ("", "zstd", "gzip;q=0", "br;q=0, gzip;q=0.0"):
        answer = get(client, "/static/shared/base.css", refuses)
        assert "content-encoding" not in answer.headers


def test_what_the_browser_has_is_not_sent_again(client: Client) -> None:
    for coding in ("br", "gzip", "identity"):
        etag = get(client, "/shop", coding).headers["etag"]
        again = client.get("/shop", headers={"if-none-match": etag, "accept-encoding": coding})
        assert (again.status_code, again.content) == (304, b"")
        # A proxy that compresses makes it a weak one.
        again = client.get("/shop", headers={"if-none-match": f"W/{etag}"})
        assert again.status_code == 304


def test_the_same_bytes_are_compressed_alike_by_every_core(folder: Path) -> None:
    files = [read_files({"": folder})["shared/base.css"] for _ in range(2)]
    for file in files:
        file.pack("gzip")
    one, other = [file.packed("gzip") for file in files]
    assert one == other
    assert gzip.decompress(one).startswith(b"p {")


async def test_nobody_waits_for_the_best_compression_and_who_comes_later_has_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def slow(body: bytes) -> bytes:
        assert may_end.wait(30)
        return b"best" + body[:0]

    monkeypatch.setitem(CODINGS, "br", slow)
    pages = Pages(read_files({"": folder}), [])
    app = Starlette(routes=pages.routes({"/shop": "shop/index.html"}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:

        async def sent() -> bytes:
            headers = {"accept-encoding": "br"}
            async with client.stream("GET", "/static/shared/base.css", headers=headers) as answer:
                return b"".join([part async for part in answer.aiter_raw()])

        for _ in range(2):
            assert brotli.decompress(await sent()).startswith(b"p {")
        may_end.set()
        async with asyncio.timeout(30):
            while await sent() != b"best":  # noqa: ASYNC110  (in a thread)
                await asyncio.sleep(0)
