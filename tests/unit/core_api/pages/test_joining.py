"""All modules of a page as one script."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from core_api.pages.files import FOLDERS
from core_api.pages.joining import JoiningError, joined
from core_api.pages.shortening import shortened

SAY = "console.log(JSON.stringify(told));\n"


def told_by(script: str, folder: Path) -> str:
    """What Node prints when it runs the module."""
    node = shutil.which("node")
    assert node, "these tests need Node"
    file = folder / "joined.mjs"
    file.write_text(script)
    done = subprocess.run([node, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_each_module_runs_once_those_that_it_imports_first(tmp_path: Path) -> None:
    modules = {
        "log.js": "export const told = [];\n",
        "a/one.js": 'import { told } from "../log.js";\ntold.push("one");\nexport const one = 1;\n',
        "a/two.js": 'import { one } from "./one.js";\nimport { told } from "../log.js";\n'
        'told.push("two");\nexport const two = one + 1;\n',
        "main.js": 'import "./a/two.js";\nimport { one } from "./a/one.js";\n'
        f'import {{ told }} from "./log.js";\ntold.push("main", one);\n{SAY}',
    }
    assert told_by("".join(joined(modules, "main.js")), tmp_path) == '["one","two","main",1]'


def test_names_that_modules_have_for_themselves_do_not_meet(tmp_path: Path) -> None:
    modules = {
        "one.js": "const secret = 1;\nexport function one() {\n  return secret;\n}\n",
        "main.js": 'import { one as other } from "./one.js";\nimport * as all from "./one.js";\n'
        f"const secret = 2;\nconst told = [secret, other(), all.one()];\n{SAY}",
    }
    assert told_by("".join(joined(modules, "main.js")), tmp_path) == "[2,1,1]"


def test_each_part_begins_with_the_name_of_its_module() -> None:
    (script,) = joined({"a/main.js": "f();\n"}, "a/main.js")
    assert script.splitlines()[0] == "//! a/main.js"


def test_a_second_script_goes_on_with_what_the_first_has_made(tmp_path: Path) -> None:
    modules = {
        "one.js": f"export const told = [1];\n{SAY}",
        "first.js": 'import { told } from "./one.js";\ntold.push(2);\n',
        "main.js": 'import { told } from "./one.js";\nimport "./first.js";\ntold.push(3);\n'
        f"{SAY}",
    }
    first, second = joined(modules, "first.js", "main.js")
    assert told_by(first, tmp_path) == "[1]"
    assert "one.js" not in second.replace('"./one.js"', "")
    assert told_by(first + second, tmp_path) == "[1]\n[1,2,3]"


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"main.js": 'import { a } from "./gone.js";\n'}, "main.js imports gone.js"),
        (
            {
                "main.js": 'import { a } from "./a.js";\n',
                "a.js": 'import { b } from "./main.js";\n',
            },
            "main.js imports itself, by a.js",
        ),
        (
            {
                "main.js": 'import { a, c as d } from "./a.js";\n',
                "a.js": "export const a = 1;\nconst c = 2;\n",
            },
            "main.js imports c, which a.js does not export",
        ),
        ({"main.js": "export default 1;\n"}, "main.js has a line that cannot be joined: exp"),
        ({"main.js": 'export { a } from "./a.js";\n'}, "main.js has a line that cannot be joined"),
        ({"main.js": "export let a = 1;\n"}, "main.js has a line that cannot be joined"),
    ],
)
def test_what_cannot_be_joined_is_said(modules: dict[str, str], why: str) -> None:
    with pytest.raises(JoiningError, match=re.escape(why)):
        joined(modules, "main.js")


@pytest.mark.parametrize("page", ["terminal", "table", "ops"])
def test_every_page_can_be_joined(page: str) -> None:
    modules = {
        f"{prefix}{path.relative_to(folder)}": path.read_text()
        for prefix, folder in FOLDERS.items()
        for path in folder.rglob("*.js")
    }
    script = shortened("".join(joined(modules, f"{page}/main.js")))
    assert "import" not in re.findall(r"^\w+", script, re.MULTILINE)
    assert f"//! {page}/main.js" in script
