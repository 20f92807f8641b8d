"""A parser finds in the script that a page gets what its modules say: only blanks are left out."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Final

import pytest

from core_api.pages.files import FOLDERS
from core_api.pages.joining import joined
from core_api.pages.shortening import shortened
from tests.browser.front_end import NODE_MODULES, ROOT

_COMPARE: Final = """
import { json } from "node:stream/consumers";
import { parseAst } from "vite";
const places = new Set(["start", "end", "loc", "range"]);
const plain = (key, value) => {
    if (places.has(key)) return undefined;
    return typeof value === "bigint" || value instanceof RegExp ? String(value) : value;
};
const tree = (script) => JSON.stringify(parseAst(script), plain);
const [before, after] = (await json(process.stdin)).map(tree);
let at = 0;
while (before !== after && before[at] === after[at]) at++;
const around = (text) => text.slice(Math.max(0, at - 200), at + 100);
const found = { same: before === after, before: around(before), after: around(after) };
console.log(JSON.stringify(found));
"""


def compared(before: str, after: str) -> dict[str, Any]:
    """Whether the trees of both are the same, and where they first differ."""
    assert (NODE_MODULES / "vite").exists(), "the packages are not installed: make node-packages"
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", _COMPARE],
        cwd=ROOT,
        input=json.dumps([before, after]),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("page", ["terminal", "table", "ops"])
def test_the_script_of_a_page_means_what_its_modules_mean(page: str) -> None:
    modules = {
        f"{prefix}{path.relative_to(folder)}": path.read_text()
        for prefix, folder in FOLDERS.items()
        for path in folder.rglob("*.js")
    }
    script = joined(modules, f"{page}/main.js")
    found = compared(script, shortened(script))
    assert found["same"], f"{found['before']}\n\nis now\n\n{found['after']}"


@pytest.mark.parametrize(
    ("before", "after"),
    [("f(`a  b`);", "f(`a b`);"), ("a\n++b;", "a++\nb;"), ("a = / b/u;", "a = /b/u;")],
)
def test_a_script_that_means_something_else_is_found(before: str, after: str) -> None:
    assert not compared(before, after)["same"]
