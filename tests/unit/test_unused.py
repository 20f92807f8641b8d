"""Nothing stands in the product that only tests use, or nobody.

Each name that the product defines occurs in it once more: where it is used. Words are counted, in
code and texts alike, so a name that has a namesake elsewhere is not found by this.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("client_sdk", "core_api", "deploy", "event_server", "server_common")
FOR_PROGRAMS: Final = {
    # The pages of the SDK show these to programs.
    "by_status",
    "by_table",
    "discard",
    "pageEvent",
    "publish",
}
PAGES: Final = ("sdk.md", "browser-client.md", "front-end.md", "state.md")
BY_LIBRARIES: Final = {
    # A library calls them, or reads them.
    "attributeChangedCallback",
    "capture_signals",
    "disconnectedCallback",
    "force_exit",
}
BY_NAME: Final = {
    # `core_api/documents/demonstration.py` is named by a setting, and gives this.
    "DEFINITIONS",
}
PYTHON: Final = re.compile(
    r"^(?P<above>(?:[ ]*@[^\n]*\n)*)[ ]*(?:async )?(?:def|class) (?P<made>\w+)"
    r"|^(?P<said>[A-Za-z_]\w*)(?:: [^\n=]+)? = ",
    re.MULTILINE,
)
JAVASCRIPT: Final = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (?P<said>\w+)"
    r"|^  (?:static |async |get |set |\*)*(?P<made>#?\w+)\([^)\n]*\) \{",
    re.MULTILINE,
)
IMPORTED: Final = re.compile(r"^import \{([^}]*)\} from", re.MULTILINE)
WORD: Final = re.compile(r"#?[A-Za-z_]\w*")


def texts(*endings: str) -> dict[Path, str]:
    """Each file's text, without comments that stand on lines of their own."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in endings and "node_modules" not in path.parts:
                lines = path.read_text().splitlines()
                comment = "#" if path.suffix == ".py" else ("//", "* ")
                kept = [line for line in lines if not line.lstrip().startswith(comment)]
                found[path.relative_to(ROOT)] = "\n".join(kept)
    return found


def unused(files: dict[Path, str], form: re.Pattern[str], endings: tuple[str, ...]) -> list[str]:
    of_file = {path: Counter(WORD.findall(text)) for path, text in files.items()}
    of_all = Counter[str]()
    for words in of_file.values():
        of_all.update(words)
    found = []
    for path, text in files.items():
        if path.suffix not in endings or "versions" in path.parts:
            continue
        for match in form.finditer(text):
            name = match["made"] or match["said"]
            if (form is PYTHON and match["above"]) or name.startswith("__"):
                continue  # whoever decorates it uses it
            is_method = match[0].startswith(" ") and form is PYTHON  # it may override another
            is_own = name.startswith(("_", "#")) and not is_method
            if (of_file[path] if is_own else of_all)[name] < 2:
                found.append(f"{path}: {name}")
    return found


def without(found: list[str]) -> list[str]:
    known = FOR_PROGRAMS | BY_LIBRARIES | BY_NAME
    return [line for line in found if line.split(": ")[1] not in known]


def test_each_python_name_of_the_product_is_used_in_it() -> None:
    assert not without(unused(texts(".py"), PYTHON, (".py",)))


def test_each_javascript_name_of_the_product_is_used_in_it() -> None:
    assert not without(unused(texts(".js", ".html"), JAVASCRIPT, (".js",)))


def test_each_javascript_module_uses_what_it_imports() -> None:
    found = []
    for path, text in texts(".js").items():
        words = Counter(WORD.findall(text))
        for names in IMPORTED.findall(text):
            for name in names.split(","):
                last = name.split(" as ")[-1].strip()
                if last and words[last] < 2:
                    found.append(f"{path}: {last}")
    assert not found


@pytest.mark.parametrize("name", sorted(FOR_PROGRAMS))
def test_what_only_programs_use_is_shown_to_them(name: str) -> None:
    pages = "".join((ROOT / "docs" / page).read_text() for page in PAGES)
    assert name in pages
