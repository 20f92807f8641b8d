"""A parser reads the same in a page's script as in its modules: only blanks were removed."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from random import Random
from typing import Any, Final

import pytest

from core_api.pages.files import FOLDERS
from core_api.pages.joining import joined
from core_api.pages.shortening import ShorteningError, shortened
from tests.browser.front_end import NODE_MODULES, ROOT
from tests.browser.scripts import script as made_by_chance

SEED: Final = 7
SCRIPTS: Final = 2_000

_COMPARE: Final = """
import { json } from "node:stream/consumers";
import { parseAst } from "vite";
const places = new Set(["start", "end", "loc", "range"]);
const plain = (key, value) => {
    if (places.has(key)) return undefined;
    return typeof value === "bigint" || value instanceof RegExp ? String(value) : value;
};
const tree = (script) => {
    try {
        return JSON.stringify(parseAst(script), plain);
    } catch (error) {
        return `cannot be read: ${error.message}`;
    }
};
const compared = (pair) => {
    const [before, after] = pair.map(tree);
    let at = 0;
    while (before !== after && before[at] === after[at]) at++;
    const around = (text) => text.slice(Math.max(0, at - 200), at + 100);
    const isRead = !before.startsWith("cannot");
    return { isRead, same: before === after, before: around(before), after: around(after) };
};
console.log(JSON.stringify((await json(process.stdin)).map(compared)));
"""


def compared(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    """Of each pair whether the trees of both are the same, and where they first differ."""
    assert (NODE_MODULES / "vite").exists(), "the packages are not installed: make node-packages"
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", _COMPARE],
        cwd=ROOT,
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("page", ["terminal", "table", "ops"])
def test_the_script_of_a_page_means_what_its_modules_mean(page: str) -> None:
    modules = {
        f"{prefix}{path.relative_to(folder)}": path.read_text()
        for prefix, folder in FOLDERS.items()
        for path in folder.rglob("*.js")
    }
    script = "".join(joined(modules, f"{page}/main.js"))
    (found,) = compared((script, shortened(script)))
    assert found["isRead"], found["before"]
    assert found["same"], f"{found['before']}\n\nis now\n\n{found['after']}"


@pytest.mark.parametrize(
    ("before", "after"),
    [("f(`a  b`);", "f(`a b`);"), ("a\n++b;", "a++\nb;"), ("a = / b/u;", "a = /b/u;")],
)
def test_a_script_that_means_something_else_is_found(before: str, after: str) -> None:
    (found,) = compared((before, after))
    assert found["isRead"]
    assert not found["same"]


def test_scripts_by_chance_mean_the_same_or_are_refused() -> None:
    random = Random(SEED)
    pairs = []
    for text in (made_by_chance(random) for _ in range(SCRIPTS)):
        with suppress(ShorteningError):
            pairs.append((text, shortened(text)))
    read = [
        (pair, found)
        for pair, found in zip(pairs, compared(*pairs), strict=True)
        if found["isRead"]
    ]
    # Else the scripts say nothing.
    assert len(read) > SCRIPTS / 5
    for (before, after), found in read:
        assert found["same"], f"{before!r}\n\nis now\n\n{after!r}"
