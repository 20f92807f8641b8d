"""The schedules find bugs in the browser's shared state: each bug planted here."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.module_page import MODULE, TESTS, ModulePage, served
from tests.conformance import cases, subject
from tests.conformance.cases import Json
from tests.conformance.random_state import state_play

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("differential")]

CASES: Final = 60
AT_ONCE: Final = 20
"""So many cases are asked before it is looked whether one shows the bug."""
PLANTED: Final = {
    "an event that contains an edit leaves it in the view": (
        "replica.js",
        "entry.shown = false;\n        this.#keep(entry);\n      } else",
        "} else",
    ),
    "an edit leaves the view on the answer alone": (
        "replica.js",
        "if (version === null) entry.shown = false;",
        "entry.shown = false; if (version === null);",
    ),
    "a repeat goes out under another client id": (
        "queue.js",
        "failed(request) {\n    this.#landed(request);",
        "failed(request) {\n    if (this.#landed(request)) this.#rename(this.unanswered, true);",
    ),
    "the view goes on from a value of before": (
        "replica.js",
        "this.#composed.delete(name);",
        "if (this.#pending(name).length === 0) this.#composed.delete(name);",
    ),
    "a refusal stalls the queue": (
        "queue.js",
        "if (outcome === undefined || entry.outcome !== null) continue;",
        'if (outcome?.outcome === "refused" || entry.outcome !== null) continue;',
    ),
    "an answer is forgotten too early": (
        "requests.js",
        "const needed = [...own.map((entry) => entry.n), ...bases",
        "const needed = [...own.map((entry) => entry.n + 1), ...bases",
    ),
    "a diff is applied to another version than it is made for": (
        "documents.js",
        " || version !== this.#version(key) + 1",
        "",
    ),
    "an edit on a pending one names Core's version": (
        "queue.js",
        "return below.client === this.client ? { n: below.n } : below.at;",
        "return version;",
    ),
    "bases of a log that is gone are kept": (
        "queue.js",
        "base = null; // a version of the other log",
        "",
    ),
    "a version of another log is a base": (
        "replica.js",
        "const isKnown = this.#isOneLog(documents) && ",
        "const isKnown = ",
    ),
    "a value of another log passes for the new one's": (
        "documents.js",
        'isOneLog && reason !== "digest"',
        "true",
    ),
    "what is kept of another log stays": (
        "replica.js",
        "this.#forgetOthers(log);",
        "",
    ),
    "a digest is compared before the log has brought what is here": (
        "documents.js",
        "if (this.#ahead.size > 0) return null;",
        "",
    ),
    "a reset tells nobody of the documents that there are not": (
        "replica.js",
        'this.#effects.changed.add(nameOf(channel, ""));',
        "",
    ),
    "an applied edit waits for a document that is gone": (
        "replica.js",
        "} else if (documents.synced && documents.isGone(key, entry.at)) {",
        "} else if (false) {",
    ),
    "what a restore took back is applied to an old value that has it": (
        "replica.js",
        ".filter(({ within }) => !within)",
        "",
    ),
    "an edit leaves with an old value that lacks it": (
        "replica.js",
        "entry.at <= version && !standsIn",
        "entry.at <= version",
    ),
    "a snapshot is shown though a lost answer may be in it": (
        "replica.js",
        "return this.#pending(name).some((entry) => entry.isUnsure || !isCertain);",
        "return false;",
    ),
    "what was held back is never shown": (
        "replica.js",
        "documents.release(key);",
        "",
    ),
    "numbers are used twice after a crash": (
        "replica.js",
        "if (queue.nextId > 1) this.#keepCounters();",
        "",
    ),
    "a member named __proto__ becomes the prototype": (
        "../contract/state/pointer.js",
        'if (name !== "__proto__") object[name] = value;',
        "if (name) object[name] = value;",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One for all bugs: each has a module of its own, at an address of its own."""
    async with await browser.new_context() as device:
        yield await device.new_page()


@pytest.fixture(scope="module")
def right() -> list[tuple[Json, Json]]:
    """The cases, each with what Python says to it."""
    given = [(case, subject.answer("state", case)) for case in cases.cases("state")]
    return given + [state_play(f"planted {n}") for n in range(CASES)]


@pytest.mark.parametrize(("file", "good", "bad"), PLANTED.values(), ids=list(PLANTED))
async def test_the_bug_is_found(
    page: Page, right: list[tuple[Json, Json]], tmp_path: Path, file: str, good: str, bad: str
) -> None:
    module = tmp_path / "javascript"
    shutil.copytree(MODULE, module)
    path = module / "state" / file
    text = path.read_text()
    assert text.count(good) == 1
    path.write_text(text.replace(good, bad))
    with served({"/static/yabam/": module, "/tests/": TESTS}) as url:
        await page.goto(url)
        for first in range(0, len(right), AT_ONCE):
            some = right[first : first + AT_ONCE]
            answers = await ModulePage(page).answers("state", [case for case, _ in some])
            pairs = zip(some, answers, strict=True)
            if any(cases.difference(expected, told) for (_, expected), told in pairs):
                return
    pytest.fail("no case shows it")
