"""The kept versions of a document, and when each path was touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.state.operations import Merge, Set
from client_sdk.contract.state.pointer import Path, format_pointer, parse_pointer
from core_api.documents import kept_versions
from core_api.documents.changes import PathSet
from core_api.documents.kept_versions import History, Kept
from tests.unit.core_api.documents.samples import ANY, Store, at, edit

paths = st.lists(st.sampled_from("ab"), max_size=3).map(tuple)


def overlap(one: Path, other: Path) -> bool:
    """Whether one of the paths is the other, or lies above it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def kept(version: int, *touched: Path, time: float = 0) -> Kept:
    diff: list[dict[str, Any]] = [
        {"op": "remove", "path": format_pointer(path)} for path in touched
    ]
    return Kept(version, at(time), diff)


def test_a_version_is_found_by_its_number() -> None:
    history = History([kept(5), kept(6)])
    assert [one and one.version for one in map(history.at, (4, 5, 6, 7))] == [None, 5, 6, None]


def test_versions_after_one_are_those_that_are_kept() -> None:
    history = History([kept(5), kept(6), kept(7)])
    assert [one.version for one in history.after(5)] == [6, 7]
    assert [one.version for one in history.after(1)] == [5, 6, 7]
    assert history.after(7) == []


def test_the_history_reaches_back_to_the_version_before_the_first_that_is_kept() -> None:
    history = History([kept(5), kept(6)])
    assert [history.reaches(version, 6) for version in (3, 4, 5)] == [False, True, True]


def test_an_empty_history_reaches_only_the_newest_version() -> None:
    assert History().reaches(6, 6)
    assert not History().reaches(5, 6)


def test_a_copy_is_added_to_without_the_original() -> None:
    history = History([kept(5)])
    longer = history.copy()
    longer.add(kept(6))
    assert (len(history.after(0)), len(longer.after(0))) == (1, 2)


def test_an_empty_history_that_is_added_to_begins_there() -> None:
    history = History()
    history.add(kept(4))
    assert history.at(4) is not None
    assert history.reaches(3, 4)


@given(
    st.lists(st.tuples(st.lists(paths, max_size=2), st.integers(0, 9)), max_size=6),
    st.integers(0, 6),
    st.lists(st.tuples(paths, st.integers(-1, 7)), min_size=1, max_size=3),
)
def test_the_last_touch_is_the_latest_at_above_and_below_of_all_after_a_version(
    versions: list[tuple[list[Path], int]], begins: int, questions: list[tuple[Path, int]]
) -> None:
    """However many of the versions were there when it was first asked."""
    made = [kept(n, *touched, time=time) for n, (touched, time) in enumerate(versions, 1)]
    history = History(made[:begins])
    for count in range(min(begins, len(made)), len(made) + 1):
        if count > begins:
            history.add(made[count - 1])
        for asked, after in questions:
            times = [
                at(time)
                for touched, time in versions[max(after, 0) : count]
                for path in touched
                if overlap(path, asked)
            ]
            assert history.last_touched(asked, after) == max(times, default=None)


def test_each_diff_is_read_once_however_many_edits_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def watched(pointer: str) -> Path:
        read.append(pointer)
        return parse_pointer(pointer)

    monkeypatch.setattr(kept_versions, "parse_pointer", watched)
    made = Store(ANY["merge"])
    for n in range(30):
        made.one(edit(Set(dict.fromkeys("abcdef", n)), n, made_at=n), "first")
    for n in range(100):
        settlement = made.one(edit(Merge({"a": -1}), n % 29, n + 1, made_at=1), "late")
        assert settlement.outcome == "put-aside"
    assert len(read) == 1 + 29 * 6


@given(st.lists(paths, max_size=4), paths)
def test_a_set_of_paths_meets_what_is_at_above_or_below_one_of_them(
    held: list[Path], asked: Path
) -> None:
    assert PathSet(held).meets(asked) == any(overlap(path, asked) for path in held)
