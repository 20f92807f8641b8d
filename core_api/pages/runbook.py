"""The page `/runbook`, from docs/operations.md.

Core serves the runbook of its own release, so that the ops page leads to it where there is neither
a checkout nor the Internet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

PATH: Final = "ops/runbook.html"
"""Where the page stands among the files of the pages."""
_PACKAGED: Final = Path(__file__).with_name("operations.md")
"""Where the wheel has the document (pyproject.toml)."""
_IN_CHECKOUT: Final = Path(__file__).parents[2] / "docs/operations.md"
_SECTION: Final = "Runbook"
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
  <meta name="color-scheme" content="light dark">
  <title>Runbook — Yabam</title>
  <link rel="icon" href="/static/shared/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/shared/base.css">
  <link rel="stylesheet" href="/static/ops/runbook.css">
</head>
<body>
<main>
<h1>Runbook</h1>
<nav aria-label="Entries">
<ul role="list">
{entries}</ul>
</nav>
{text}</main>
</body>
</html>
"""


def own_runbook() -> str:
    """The page of this installation."""
    return render((_PACKAGED if _PACKAGED.exists() else _IN_CHECKOUT).read_text("utf-8"))


def render(source: str) -> str:
    """The page, from the text of docs/operations.md."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(source)
    entries = []
    for title, anchor, opening in _headings(tokens):
        opening.attrSet("id", anchor)
        entries.append((title, anchor))
    tokens = _section(tokens)
    kept = {str(token.attrGet("id")) for token in tokens if token.type == "heading_open"}
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h2"
        if token.children:
            token.children = list(_without_foreign_links(token.children))
    listed = "".join(
        f'<li><a href="#{anchor}">{escape(title)}</a></li>\n'
        for title, anchor in entries
        if anchor in kept
    )
    text = markdown.renderer.render(tokens, markdown.options, {})
    return _PAGE.format(entries=listed, text=text)


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[str, str, Token]]:
    """Each heading with the anchor that forges give it: the second of a name ends in -1."""
    met: dict[str, int] = {}
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            slug = re.sub(r"[^\w -]", "", inline.content.lower()).replace(" ", "-")
            number = met.get(slug, 0)
            met[slug] = number + 1
            yield inline.content, f"{slug}-{number}" if number else slug, opening


def _section(tokens: Sequence[Token]) -> list[Token]:
    """What stands below the heading, up to the next of its level."""
    found: list[Token] = []
    is_inside = False
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            is_inside = tokens[at + 1].content == _SECTION
        if is_inside:
            found.append(token)
    return found[3:]  # without the heading itself


def _without_foreign_links(tokens: Sequence[Token]) -> Iterator[Token]:
    """A link to another file becomes its text: Core serves this page alone."""
    is_foreign = False
    for token in tokens:
        if token.type == "link_open":
            is_foreign = not str(token.attrGet("href")).startswith("#")
        if not (is_foreign and token.type in ("link_open", "link_close")):
            yield token
