"""The pages treat two names of a dish as equal exactly when Core does, in every script."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator
from typing import Final

import pytest

from core_api.store_rules.sold_out_or_closed import same_name
from tests.browser.node_module import NodeModule, node_module

EQUAL: Final = {
    "German": ("Weißwurst", "WEISSWURST", "weiẞwurst"),
    "Greek": ("Μουσακάς", "ΜΟΥΣΑΚΆΣ", "μουσακάσ"),
    "Greek, two marks": ("φαΐ", "φαΐ".upper(), unicodedata.normalize("NFD", "φαΐ")),
    "Greek, several words": ("ΣΑΣ ΣΟΣ", "σας σος"),
    "Turkish, with a dot": ("İmam", "i\N{COMBINING DOT ABOVE}mam"),
    "Turkish, without a dot": ("ıspanak", "ıSPANAK"),
    "Cherokee": ("\u13a0\u13f8", "\uab70\u13f0"),
    "Georgian": ("ხინკალი", "ᲮᲘᲜᲙᲐᲚᲘ"),
    "Armenian": ("\u0587", "\u0565\u0582", "\u0535\u0552"),
    "ligature": ("eﬃciency", "EFFICIENCY"),
    "Deseret": ("\U00010400", "\U00010428"),
    "Hangul": ("김치", unicodedata.normalize("NFD", "김치")),
    "full width": ("ＰＩＺＺＡ\N{IDEOGRAPHIC SPACE}１", "pizza 1"),
    "accents": ("Crème brûlée", unicodedata.normalize("NFD", "CRÈME BRÛLÉE")),
    "white space": (" a\t\x1fb\x85c\n", "A B\N{NO-BREAK SPACE}C"),
}
DOTLESS_I: Final = "ı"
DIFFERENT: Final = {
    "a dotless i is a letter of its own": ("ılık", "ilik"),
    "an accent": ("Crème", "Creme"),
    "no white space": ("a\ufeffb", "a b"),
}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeModule]:
    with node_module("shared/names.js", tmp_path_factory.mktemp("names")) as module:
        yield module


def same_names(module: NodeModule, texts: list[str]) -> list[str]:
    found: list[str] = module.evaluate(f"{json.dumps(texts)}.map(module.sameName)")
    return found


@pytest.mark.parametrize("texts", EQUAL.values(), ids=EQUAL)
def test_writings_of_one_name_are_equal_on_the_pages_as_in_core(
    names: NodeModule, texts: tuple[str, ...]
) -> None:
    assert same_names(names, list(texts)) == [same_name(text) for text in texts]
    assert len(set(map(same_name, texts))) == 1


@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT)
def test_different_names_are_different_on_the_pages_as_in_core(
    names: NodeModule, texts: tuple[str, str]
) -> None:
    assert same_names(names, list(texts)) == [same_name(text) for text in texts]
    assert same_name(texts[0]) != same_name(texts[1])


def test_each_character_that_python_knows_has_the_form_that_core_gives_it(
    names: NodeModule,
) -> None:
    # Unassigned ones may be letters in a newer Unicode; halves of a pair are no text.
    known = (char for char in map(chr, range(sys.maxunicode + 1)))
    texts = [f"x{char}x" for char in known if unicodedata.category(char) not in ("Cn", "Cs", "Co")]
    forms = map(same_name, texts)
    told = same_names(names, texts)
    assert [text for text in texts if same_name(text.upper()) != same_name(text)] == [
        f"x{DOTLESS_I}x"
    ]
    different = [
        (text, core, page)
        for text, core, page in zip(texts, forms, told, strict=True)
        if core != page
    ]
    assert not different
