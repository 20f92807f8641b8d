"""JSON values for the tests of shared state."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "김밥"])
names = st.sampled_from(["a", "b", "c", "0", "a/b", "m~n"])
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
documents: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, values, max_size=4)
