"""The tests' own children: when a block ends, the process is over and its pipes are closed."""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from tests.children import child

ENDLESS = ("-c", "while True: print('x' * 100)")


def test_a_child_that_is_read_to_no_end_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: left.append(it.exc_value))

    async def read_a_line() -> int | None:
        async with child(sys.executable, *ENDLESS, stdout=PIPE, limit=1 << 10) as process:
            assert process.stdout is not None
            await process.stdout.readline()
        return process.returncode

    assert asyncio.run(read_a_line()) == -9
    gc.collect()
    assert not left


async def test_a_child_that_has_ended_keeps_its_exit_status() -> None:
    async with child(sys.executable, "-c", "raise SystemExit(3)") as process:
        await process.wait()
    assert process.returncode == 3
