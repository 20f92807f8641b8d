"""What may be forgotten of a history: no version that is kept loses its value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.state.patch import apply_patch, diff
from client_sdk.contract.state.pointer import MISSING
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS, MENU
from core_api.documents.kept_versions import is_end
from core_api.documents.table_documents import CART
from core_api.edits.rows import KEYFRAME_EVERY
from core_api.retention.history_cuts import DEFAULT_S, Cut, KeptVersion, cut, kept_s

ALL = Definitions(DEFINITIONS)


def versions(*, old: int, young: int = 0, whole: tuple[int, ...] = (1,)) -> list[KeptVersion]:
    """Versions from 1 on, of which the first `old` are old, and these kept whole."""
    return [KeptVersion(n, n <= old, n in whole) for n in range(1, old + young + 1)]


def test_a_cut_is_made_just_below_a_version_that_is_kept_whole() -> None:
    assert cut(versions(old=40, young=5, whole=(1, 33))) == Cut(below=33, aside=40)


def test_a_whole_version_that_is_young_is_no_reason_to_forget_what_lies_before_its_neighbours() -> (
    None
):
    assert cut(versions(old=31, young=5, whole=(1, 33))) == Cut(below=1, aside=31)


def test_the_newest_version_stays_however_old_it_is() -> None:
    assert cut(versions(old=33, whole=(1, 33))).below == 33
    assert cut(versions(old=1)).below == 1


def test_an_end_stands_alone_so_of_a_deleted_document_only_that_stays() -> None:
    history = [*versions(old=8), KeptVersion(9, True, True)]
    assert cut(history).below == 9


def test_what_is_young_is_not_touched() -> None:
    assert cut(versions(old=0, young=40, whole=(1, 33))) == Cut(below=1, aside=0)


def test_a_history_that_begins_with_no_whole_version_is_cut_at_the_next_that_is() -> None:
    later = [KeptVersion(n, True, n == 33) for n in range(5, 40)]
    assert cut(later).below == 33
    assert cut(later[:10]).below == 5


def test_a_key_is_kept_as_its_definition_says_and_an_unknown_one_as_long_as_any() -> None:
    assert kept_s(ALL, "party", "cart") == CART.history_s
    assert kept_s(ALL, "party", "gone") == MENU.history_s
    assert kept_s(Definitions(()), "party", "cart") == DEFAULT_S


lives = st.lists(
    st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), st.integers(0, 3))),
    min_size=1,
    max_size=80,
)


@given(wanted=lives, cuts=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 90)), max_size=4))
def test_after_any_cuts_each_version_that_is_kept_has_the_value_that_it_had(
    wanted: list[dict[str, int] | None], cuts: list[tuple[int, int]]
) -> None:
    rows, truth = _history(wanted)
    kept = dict(rows)
    old_by_now = 0
    for age, seen in cuts:
        old_by_now = max(old_by_now, age)
        if not kept:
            return
        order = sorted(kept)[:seen]
        told = [KeptVersion(v, v <= old_by_now, _alone(kept[v])) for v in order]
        below = cut(told).below
        assert all(v <= old_by_now for v in kept if v < below), "what is young went"
        kept = {v: row for v, row in kept.items() if v >= below}
        assert max(kept) == max(rows)
    value: Any = MISSING
    for place, version in enumerate(sorted(kept)):
        steps, whole = kept[version]
        assert place or _alone(kept[version])
        value = whole if whole is not None else MISSING if is_end(steps) else apply_patch(
            value, steps
        )  # fmt: skip
        assert (None if value is MISSING else value) == truth[version]


@given(wanted=lives, age=st.integers(0, 90))
def test_nothing_old_stays_but_what_the_first_needed_version_is_made_from(
    wanted: list[dict[str, int] | None], age: int
) -> None:
    rows, _ = _history(wanted)
    if not rows:
        return
    told = [KeptVersion(v, v <= age, _alone(rows[v])) for v in sorted(rows)]
    below = cut(told).below
    needed = next((one.version for one in told if not one.is_old), told[-1].version)
    between = [one for one in told if below < one.version <= needed]
    assert not any(one.stands_alone for one in between)
    assert len(between) < KEYFRAME_EVERY


Row = tuple[list[dict[str, Any]], dict[str, int] | None]


def _alone(row: Row) -> bool:
    return row[1] is not None or is_end(row[0])


def _history(
    wanted: list[dict[str, int] | None],
) -> tuple[dict[int, Row], dict[int, dict[str, int] | None]]:
    """The rows as Core writes them, and the value of each version."""
    rows: dict[int, Row] = {}
    truth: dict[int, dict[str, int] | None] = {}
    before: dict[str, int] | None = None
    for value in wanted:
        if value == before:
            continue
        version = len(rows) + 1
        steps = diff(MISSING if before is None else before, MISSING if value is None else value)
        is_whole = value is not None and (version % KEYFRAME_EVERY == 1 or before is None)
        rows[version] = (steps, value if is_whole else None)
        truth[version] = before = value
    return rows, truth
