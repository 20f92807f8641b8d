"""Node with one module of the pages, for tests of its pure functions."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import core_api.pages
from tests.browser.module_page import MODULE

STATIC: Final = Path(core_api.pages.__file__).parent / "static"
_ANSWERS: Final = """
import * as module from %s;
import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(new Function("module", `return ${line}`)(module)));
}
"""


class NodeModule:
    """A module that Node has loaded.

    Args:
        process: the Node that `node_module` starts.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def evaluate(self, expression: str) -> Any:
        """The value of a one-line expression, in which the module is `module`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def node_module(name: str, folder: Path) -> Iterator[NodeModule]:
    """One Node for all expressions, because its start takes longer than all of them.

    Args:
        name: the module below `static`.
        folder: an empty folder. It gets the files as Core serves them, the SDK at `yabam`.
    """
    static = folder / "static"
    shutil.copytree(STATIC, static)
    shutil.copytree(MODULE, static / "yabam", ignore=shutil.ignore_patterns("node_modules"))
    (folder / "package.json").write_text('{"type": "module"}')
    script = _ANSWERS % json.dumps((static / name).as_uri())
    command = ["node", "--input-type=module", "-e", script]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        try:
            yield NodeModule(process)
        finally:
            process.kill()


def node_script(name: str, *arguments: object) -> Any:
    """The JSON that a script beside this module prints, which imports the SDK from `SDK/`.

    Args:
        name: of its file.
        arguments: the last ones of its `process.argv`.
    """
    text = Path(__file__).with_name(name).read_text().replace("SDK/", f"{MODULE.as_uri()}/")
    done = subprocess.run(
        ["node", "--input-type=module", "-e", text, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
