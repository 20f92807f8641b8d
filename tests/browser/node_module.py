"""Node with one module of the pages: what its pure functions give."""

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
        process: as `node_module` starts it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def evaluate(self, expression: str) -> Any:
        """What an expression of one line gives, in which the module is `module`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def node_module(name: str, folder: Path) -> Iterator[NodeModule]:
    """One Node for all questions: to start it takes longer than all that is asked.

    Args:
        name: the module below `static`.
        folder: an empty one; the files lie there as Core serves them, the SDK at `yabam`.
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
