"""The guide of the bindings shows their examples as they stand, and names all that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "front-end.md").read_text()
EXAMPLES: Final = ROOT / "docs" / "examples" / "front-end"
BINDINGS: Final = ROOT / "client_sdk" / "javascript" / "bindings"
SHOWN: Final = (
    "connect.js",
    "react/main.jsx",
    "react/Board.jsx",
    "vue/main.js",
    "vue/Board.vue",
    "svelte/main.js",
    "svelte/Board.svelte",
    "elements/index.html",
    "elements/main.js",
)


@pytest.mark.parametrize("name", SHOWN)
def test_a_program_of_the_guide_is_the_one_that_is_tested(name: str) -> None:
    program = (EXAMPLES / name).read_text()
    assert f"```{Path(name).suffix[1:]}\n{program}```" in GUIDE


@pytest.mark.parametrize("binding", ["react", "vue", "svelte"])
def test_the_guide_names_all_that_a_binding_has(binding: str) -> None:
    module = (BINDINGS / binding / "index.js").read_text()
    names = re.findall(r"^export (?:const|function) (\w+)", module, re.MULTILINE)
    assert names
    for name in names:
        assert re.search(rf"\b{name}\b", GUIDE), name


def test_the_guide_has_a_row_for_each_element() -> None:
    module = (BINDINGS / "elements" / "index.js").read_text()
    defined = re.findall(r'"(yabam-[a-z]+)": Yabam', module)
    assert sorted(defined) == sorted(re.findall(r"^\| `<(yabam-[a-z]+)>`", GUIDE, re.MULTILINE))
