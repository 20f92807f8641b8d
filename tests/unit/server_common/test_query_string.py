"""A query is read as the standard library reads it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server_common.http.query_string import parse_query


@given(
    st.text(st.sampled_from("ab=&%+;0fFcC3ß/?#\x00 "), max_size=40),
    st.sampled_from(["strict", "replace"]),
)
@example("a=%ff", "replace")
@example("a=%C3%9F&a+b=+&&c", "strict")
def test_any_query_is_read_as_the_standard_library_reads_it(
    text: str, errors: Literal["strict", "replace"]
) -> None:
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors=errors)
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            parse_query(text, errors)
    else:
        assert parse_query(text, errors) == expected
