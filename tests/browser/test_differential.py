"""The browser's module and the Python SDK give equal answers to random cases, in a real Chromium.

`YABAM_SEED` begins the name of each case, to look further than the cases of every day.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.module_page import ModulePage, module_page
from tests.conformance import cases, subject
from tests.conformance.cases import Json
from tests.conformance.random_cases import book_case, machine_play, sse_case
from tests.conformance.random_commands import command_play
from tests.conformance.random_state import diff_case, merge_patch_case, patch_case, state_play

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("differential")]

SEED: Final = os.environ.get("YABAM_SEED", "everyday")
BATCHES: Final = range(15)
EACH: Final = 25


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def module(browser: Browser) -> AsyncIterator[ModulePage]:
    async with module_page(browser) as page:
        yield page


Play = Callable[[str], tuple[Json, Json]]
"""Makes a case of a name; with it, what Python says to it."""


async def assert_same(module: ModulePage, of: str, batch: int, play: Play) -> None:
    played = [play(f"{SEED} {of} {batch}.{n}") for n in range(EACH)]
    answers = await module.answers(of, [case for case, _ in played])
    for (case, said), answer in zip(played, answers, strict=True):
        difference = cases.difference(said, answer)
        assert not difference, f"the case {case['name']!r} (Python is expected):\n{difference}"


def asked(of: str, make: Callable[[str], Json]) -> Play:
    """Python is asked once the case is made; schedules are made by asking it."""

    def play(name: str) -> tuple[Json, Json]:
        case = make(name)
        return case, subject.answer(of, case)

    return play


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_machines_say_the_same_to_any_schedule(module: ModulePage, batch: int) -> None:
    await assert_same(module, "machine", batch, machine_play)


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_parsers_give_the_same_events_from_any_bytes(
    module: ModulePage, batch: int
) -> None:
    await assert_same(module, "sse", batch, asked("sse", sse_case))


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_books_hold_the_same_orders_after_any_events(
    module: ModulePage, batch: int
) -> None:
    await assert_same(module, "book", batch, asked("book", book_case))


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_replicas_show_keep_and_send_the_same(module: ModulePage, batch: int) -> None:
    await assert_same(module, "state", batch, state_play)


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_queues_of_commands_show_keep_and_send_the_same(
    module: ModulePage, batch: int
) -> None:
    await assert_same(module, "commands", batch, command_play)


@pytest.mark.parametrize("batch", BATCHES)
async def test_both_make_the_same_of_any_patch(module: ModulePage, batch: int) -> None:
    await assert_same(module, "patches", batch, asked("patches", patch_case))
    await assert_same(module, "merge_patches", batch, asked("merge_patches", merge_patch_case))
    await assert_same(module, "diffs", batch, asked("diffs", diff_case))
