"""The README's part about shared state, typed as it stands there, against the whole system."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from core_api.access.callers import Caller
from tests.end_to_end.conftest import Installation
from tests.end_to_end.editing import sign

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

SECTION: Final = (
    (Path(__file__).parents[2] / "README.md")
    .read_text(encoding="utf-8")
    .partition("\n## Shared state\n")[2]
    .partition("\n## ")[0]
)
WATCH, BEGIN, CUT, AGAIN = (
    block.strip().splitlines() for block in re.findall(r"```\n(.*?)```", SECTION, re.DOTALL)
)
YABAM: Final = f"{sys.executable} -m client_sdk.cli"
SOON_S: Final = 60.0


class Terminal:
    """A shell in the newcomer's folder, with the lines that `make run` prints pasted into it.

    Args:
        folder: where the newcomer is.
        stack: what runs.
    """

    def __init__(self, folder: Path, stack: Installation) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "YABAM_CORE_URL": stack.core_url,
            "YABAM_TOKEN": sign(stack.keys, Caller("owner-1", "owner", frozenset({"1"}))),
        }

    def start(self, line: str, output: Path) -> subprocess.Popen[bytes]:
        """Type a line whose command goes on until it is ended."""
        with output.open("wb") as out:
            return subprocess.Popen(
                ["/bin/sh", "-c", f"exec {_ours(line)}"],
                cwd=self._folder,
                env=self._environment,
                stdout=out,
                stderr=subprocess.DEVNULL,
            )

    async def type(self, line: str) -> list[str]:
        """Type a line; what it prints."""
        process = await asyncio.create_subprocess_shell(
            _ours(line),
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(SOON_S):
            printed, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return printed.decode().splitlines()


def _ours(line: str) -> str:
    assert line.startswith(".venv/bin/yabam ")
    return line.replace(".venv/bin/yabam", YABAM, 1)


class Watchers:
    """Both watchers' windows.

    Args:
        terminal: where the first line is typed, twice.
        folder: where their output goes.
    """

    def __init__(self, terminal: Terminal, folder: Path) -> None:
        self._outputs = [folder / "one", folder / "other"]
        self._processes = [terminal.start(WATCH[0], output) for output in self._outputs]

    def end(self) -> None:
        """Close both windows."""
        for process in self._processes:
            process.kill()
            process.wait()

    async def both_show(self, lines: dict[str, Any]) -> None:
        """Return once the last line of both shows a cart with these lines, and nothing pending."""
        async with asyncio.timeout(SOON_S):
            while any(shown != lines for shown in map(_shown, self._outputs)):
                assert [process.poll() for process in self._processes] == [None, None]
                await asyncio.sleep(0.05)
        one, other = (output.read_text().splitlines()[-1] for output in self._outputs)
        assert one == other
        assert "pending" not in one


def _shown(output: Path) -> Any:
    printed = output.read_text(encoding="utf-8").splitlines()
    found = re.fullmatch(r"party:1/5 cart@\d+ (\{.*\})", printed[-1]) if printed else None
    return None if found is None else json.loads(found[1])["lines"]


@pytest.fixture
def newcomer(stack: Installation, tmp_path: Path) -> Terminal:
    folder = tmp_path / "clone"
    folder.mkdir()
    return Terminal(folder, stack)


@pytest.fixture
def watchers(newcomer: Terminal, tmp_path: Path) -> Iterator[Watchers]:
    made = Watchers(newcomer, tmp_path)
    try:
        yield made
    finally:
        made.end()


async def test_two_watchers_show_the_same_after_a_cut_network_and_edits_on_both_sides(
    stack: Installation, newcomer: Terminal, watchers: Watchers
) -> None:
    bibimbap = {"name": "Bibimbap", "quantity": 1, "unit_price": 9500}
    kimbap = {"name": "Kimbap", "quantity": 1, "unit_price": 3500}
    for line in BEGIN:
        assert (await newcomer.type(line))[0].split()[0] in ("applied", "settled")
    await watchers.both_show({"a": bibimbap, "b": kimbap})

    for process in (stack.core, stack.events):
        process.kill()
    for line in CUT:
        assert (await newcomer.type(line))[0].startswith("queued")

    for process in (stack.core, stack.events):
        process.start()
        process.wait_ready(120)
    *edits, history = AGAIN
    for line in edits:
        await newcomer.type(line)
    tea = {"name": "Tea", "quantity": 1, "unit_price": 2000, "note": "lemon"}
    await watchers.both_show({"a": bibimbap | {"quantity": 3}, "b": kimbap | {"quantity": 2},
                              "c": tea})  # fmt: skip
    told = [json.loads(line) for line in await newcomer.type(history)]
    assert [one["version"] for one in told] == list(range(1, len(told) + 1))
    assert len({one["client"] for one in told}) == 2
    assert {one["by"] for one in told} == {"owner-1"}
