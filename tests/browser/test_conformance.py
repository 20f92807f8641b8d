"""The browser's module answers every case as the files say, in a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.module_page import ModulePage, chromium, module_page
from tests.conformance import cases
from tests.conformance.cases import Json

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("conformance")]

CASES: Final = [
    pytest.param(of, case, id=f"{of}: {case['name']}")
    for of in cases.files()
    for case in cases.cases(of)
    if case.get("only", "js") == "js"
]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def module(browser: Browser) -> AsyncIterator[ModulePage]:
    async with module_page(browser) as page:
        yield page


class Answers:
    """What the module answers, asked for all cases of a file at once."""

    def __init__(self, module: ModulePage) -> None:
        self._module = module
        self._of_file: dict[str, dict[str, Json]] = {}

    async def answer(self, of: str, case: Json) -> Json:
        """The answer to one case."""
        if of not in self._of_file:
            asked = [one for one in cases.cases(of) if one.get("only", "js") == "js"]
            told = await self._module.answers(of, asked)
            names = [one["name"] for one in asked]
            self._of_file[of] = dict(zip(names, told, strict=True))
            assert len(self._of_file[of]) == len(asked), "two cases have one name"
        return self._of_file[of][case["name"]]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def answers(module: ModulePage) -> Answers:
    return Answers(module)


@pytest.mark.parametrize(("of", "case"), CASES)
async def test_the_module_answers_as_the_file_says(answers: Answers, of: str, case: Json) -> None:
    difference = cases.difference(case["expect"], await answers.answer(of, case))
    assert not difference, difference


async def test_a_machine_without_a_chromium_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AssertionError, match="apt-get install chromium-headless-shell"):
        async with chromium():
            pass
