"""All modules of a page as a script or two, so that a browser does not wait for each. Pure.

The modules stay what one edits and what a checkout holds; nothing is built before Core starts. It
is enough of the language for modules that are written as ours are: named imports, exports in front
of what they name, no cycle. Whatever else stands there is an error, and a test joins all pages.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

_IMPORT: Final = re.compile(r'^import\s(?:([^"\';]*?)\sfrom\s)?"(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(
    r"^export (?=(?:class|const|function|async function)\s+([A-Za-z_$][\w$]*))", re.MULTILINE
)
_LEFT: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class JoiningError(Exception):
    """A module that cannot be joined with others; the text says which, and why."""


def joined(modules: Mapping[str, str], *starts: str) -> list[str]:
    """Scripts that do, one after the other, what `starts` do with all that they import.

    A module stands in the first script that needs it. The scripts are no modules: they share what
    they declare, as those of one page do.

    Args:
        modules: their texts, by path.
        starts: the paths of those that a page names.

    Raises:
        JoiningError: one is missing, imports itself in a circle or a name that the other does not
            export, or is written in another way.
    """
    names: dict[str, str] = {}
    exports: dict[str, list[str]] = {}
    parts: list[str] = []

    def add(path: str, on_the_way: tuple[str, ...]) -> str:
        if path in on_the_way:
            raise JoiningError(f"{path} imports itself, by {' and '.join(on_the_way[1:])}")
        if path not in modules:
            by = on_the_way[-1] if on_the_way else "the page"
            raise JoiningError(f"{by} imports {path}, which is not there")
        if path not in names:
            text = modules[path]
            imported = {}
            for what, relative in _IMPORT.findall(text):
                other = _resolved(path, relative)
                imported[relative] = add(other, (*on_the_way, path))
                for name in _names(what):
                    if name not in exports[other]:
                        raise JoiningError(f"{path} imports {name}, which {other} does not export")
            exports[path] = _EXPORT.findall(text)
            body = _closed(path, text, imported, exports[path])
            names[path] = f"m{len(names)}"
            parts.append(f"//! {path}\nconst {names[path]} = {body};\n")
        return names[path]

    scripts = []
    for start in starts:
        parts.clear()
        add(start, ())
        scripts.append("".join(parts))
    return scripts


def _resolved(path: str, relative: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), relative))


def _names(what: str) -> list[str]:
    """Those of the other module that an import takes; of `* as all` and of none: no one."""
    if not what.startswith("{"):
        return []
    taken = what.strip("{} \n").split(",")
    return [name.partition(" as ")[0].strip() for name in taken if name.strip()]


def _closed(path: str, text: str, imported: Mapping[str, str], exports: list[str]) -> str:
    """A function that runs the module and gives what it exports."""

    def bound(match: re.Match[str]) -> str:
        what, name = match[1], imported[match[2]]
        if what is None:
            return ""
        if what.startswith("* as "):
            return f"const {what.removeprefix('* as ')} = {name};\n"
        return f"const {what.replace(' as ', ': ')} = {name};\n"

    body = _EXPORT.sub("", _IMPORT.sub(bound, text))
    left = _LEFT.search(body)
    if left:
        raise JoiningError(f"{path} has a line that cannot be joined: {left[0]}")
    return f"(() => {{\n{body}return {{ {', '.join(exports)} }};\n}})()"
