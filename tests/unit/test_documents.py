"""What documents and other texts have in common: links that lead somewhere, and one form."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = (
    "client_sdk", "core_api", "deploy", "docs", "event_server", "server_common", "tests",
)  # fmt: skip
MADE: Final = {"build", "node_modules", "dist", "declarations", "corpus", "vendored"}
"""Folders of what is made, or was taken over as it is."""
MARKDOWN: Final = MarkdownIt("commonmark").enable("table")


@cache
def texts(*endings: str) -> list[Path]:
    found = [path for ending in endings for path in ROOT.glob(f"*{ending}")]
    for folder in FOLDERS:
        for ending in endings:
            found += (ROOT / folder).rglob(f"*{ending}")
    return sorted(path for path in found if not MADE & set(path.relative_to(ROOT).parts))


def tokens(text: str) -> list[Token]:
    return [
        inner
        for token in MARKDOWN.parse(text)
        for inner in (token, *(token.children or ()))
    ]  # fmt: skip


def links(text: str) -> list[str]:
    named = ("href", "src")
    return [
        str(token.attrs[name]) for token in tokens(text) for name in named if name in token.attrs
    ]


@cache
def anchors(path: Path) -> set[str]:
    """The names by which GitHub links to a document's headings."""
    found: set[str] = set()
    parsed = MARKDOWN.parse(path.read_text())
    for opening, inline in pairwise(parsed):
        if opening.type != "heading_open":
            continue
        shown = "".join(one.content for one in inline.children or () if one.type != "image")
        name = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        same = [one for one in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", one)]
        found.add(f"{name}-{len(same)}" if same else name)
    return found


def dead(path: Path) -> list[str]:
    """The links of a document to files or headings that are not there."""
    found = []
    for link in links(path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name) if name else path
        is_heading = not anchor or target.suffix != ".md" or anchor in anchors(target)
        if not target.exists() or not is_heading:
            found.append(link)
    return found


def test_a_link_to_no_file_and_one_to_no_heading_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One `word`, two\n\n## Same\n\n## Same\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#one-word-two) [c](other.md#same-1) [d](https://x.example/#y)\n"
        "[e](gone.md) [f](other.md#three) [g](#none) ![h](gone.png)\n\n`[i](gone.md)`\n"
    )
    assert dead(page) == ["gone.md", "other.md#three", "#none", "gone.png"]


@pytest.mark.parametrize("path", texts(".md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_of_a_document_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    assert dead(path) == []


def form_faults(text: str) -> list[str]:
    """Where a text differs from what .editorconfig asks for."""
    wanted = {
        "a blank ends a line": not re.search(r"[ \t]+$", text, re.MULTILINE),
        "a tab indents": not re.search(r"^ *\t", text, re.MULTILINE),
        "a line ends by more than its newline": "\r" not in text,
        "not one newline ends it": not text or (text.endswith("\n") and text[-2:] != "\n\n"),
    }
    return [fault for fault, is_kept in wanted.items() if not is_kept]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", []),
        ("a\n  b\tc\n", []),
        ("a \n", ["a blank ends a line"]),
        ("a\n \tb\n", ["a tab indents"]),
        ("a\r\nb\n", ["a line ends by more than its newline"]),
        ("a", ["not one newline ends it"]),
        ("a\n\n", ["not one newline ends it"]),
    ],
)
def test_a_text_of_another_form_is_found(text: str, faults: list[str]) -> None:
    assert form_faults(text) == faults


def test_all_texts_beside_python_have_the_form_that_editors_are_asked_for() -> None:
    """Of Python, ruff says so."""
    endings = (".js", ".ts", ".css", ".html", ".json", ".md", ".toml", ".yaml", ".yml")
    found = {str(path.relative_to(ROOT)): form_faults(path.read_text()) for path in texts(*endings)}
    assert {path: faults for path, faults in found.items() if faults} == {}
