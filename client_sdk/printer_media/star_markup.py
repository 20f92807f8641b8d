"""A ticket as Star Document Markup. Pure.

https://www.star-m.jp/products/s_print/sdk/StarDocumentMarkup/manual/en/index.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from client_sdk.printer_media.lines import Line, LineStyle

_OPEN: Final[dict[LineStyle, str]] = {
    "plain": "",
    "bold": "[bold: on]",
    "large": "[magnify: width 2; height 2]",
    "inverse": "[negative: on]",
    "rule": "",
}
_CLOSE: Final[dict[LineStyle, str]] = {
    "plain": "",
    "bold": "[bold: off]",
    "large": "[magnify]",
    "inverse": "[negative: off]",
    "rule": "",
}
_ESCAPED: Final = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]"})


def markup_of(lines: Sequence[Line], columns: int) -> str:
    """The lines as markup, with a cut at the end."""
    body = "".join(
        f"{_OPEN[line.style]}{_escaped(line, columns)}{_CLOSE[line.style]}\n" for line in lines
    )
    return f"[align: left]\\\n{body}[cut: feed; partial]\n"


def _escaped(line: Line, columns: int) -> str:
    if line.style == "rule":
        return "-" * columns
    text = line.text.translate(_ESCAPED)
    indent = len(text) - len(text.lstrip(" "))
    # Spaces at the start of a line, or beside each other, are kept only if they are escaped.
    return "\\ " * indent + text[indent:].replace("  ", " \\ ")
