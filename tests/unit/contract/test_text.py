"""The grammar of texts from outside: what each rule takes, and that it takes nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_sdk.contract import text

ANY = st.text(st.characters(exclude_categories=[]), max_size=30)


@given(ANY | st.from_regex(text.DIGITS_PATTERN, fullmatch=True))
@example("²")
@example("١")
@example("１")
@example("1\n")
@example("9" * 5000)
@example("0" * 19)
def test_a_number_is_what_its_pattern_says(odd: str) -> None:
    is_number = re.fullmatch(text.DIGITS_PATTERN, odd) is not None
    assert text.number_of(odd, 10**20) == (int(odd) if is_number else None)


@pytest.mark.parametrize(("written", "seconds"), [("25", 25), ("2.5", 2.5), (".5", 0.5), ("5.", 5)])
def test_seconds_may_have_a_point(written: str, seconds: float) -> None:
    assert text.seconds_of(written) == seconds


@pytest.mark.parametrize("odd", ["", ".", "1e3", "-1", "1.2.3", "²", "5\n", "1" * 10, "nan", "+5"])
def test_nothing_else_is_seconds(odd: str) -> None:
    assert text.seconds_of(odd) is None


@given(ANY)
@example("\0")
@example("a\n\0")
@example("\ud800")
def test_a_text_is_what_postgres_takes(odd: str) -> None:
    is_half = any(0xD800 <= ord(one) <= 0xDFFF for one in odd)
    assert text.is_text(odd) == ("\0" not in odd and not is_half)
