"""The store: what is written is there after a crash, and belongs to one subject."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from client_sdk.contract.state.edit import Conflict, EditOutcome
from client_sdk.contract.state.operations import Set
from client_sdk.errors import StateStoreError
from client_sdk.state.entries import Basis, Wish, new_entry
from client_sdk.state.records import (
    DropDocument,
    DropEntry,
    DropWaiting,
    OpenConflict,
    PutCounters,
    PutDocument,
    PutEntry,
    PutPrivate,
    PutWaiting,
    entry_of,
    row_of,
)
from client_sdk.state.store import MemoryState, SqliteState, StateStore, subject_of
from tests.unit.client_sdk.state.core_model import CoreModel
from tests.unit.client_sdk.state.http_core import token_of
from tests.unit.client_sdk.state.rig import CHANNEL

Reopen = Callable[[], StateStore]


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Gives the store as the next process finds it."""
    if request.param == "memory":
        memory = MemoryState()
        return lambda: memory
    opened: list[SqliteState] = []

    def again() -> StateStore:
        for one in opened:
            one.close()
        opened.append(SqliteState(tmp_path))
        return opened[-1]

    return again


def test_all_that_is_written_is_there_afterwards(reopen: Reopen) -> None:
    entry = new_entry(7, "c", 3, Wish(CHANNEL, "cart", Set({"a": 1})), Basis(2), 7)
    entry.outcome, entry.at, entry.shown = EditOutcome(3, "applied", 4), 4, False
    core = CoreModel()
    core.write(CHANNEL, "cart", {"a": 1})
    document = core.document(CHANNEL, "cart")
    assert document is not None
    waiting = OpenConflict(5, CHANNEL, "ask", "edit-conflict", Conflict(2, {"a": 1}))
    counters = PutCounters("c", 4, 8, "E1")
    store = reopen()
    store.open("guest")
    store.write(
        [
            PutEntry(row_of(entry)),
            counters,
            PutDocument(document),
            PutWaiting(waiting),
            PutPrivate("filter", 2, {"open": True}),
        ]
    )
    stored = reopen().open("guest")
    assert [entry_of(row) for row in stored.entries] == [entry]
    assert stored.counters == counters
    assert stored.documents == [document]
    assert stored.waiting == [waiting]
    assert stored.private == {"filter": (2, {"open": True})}


def test_what_is_dropped_is_gone_afterwards(reopen: Reopen) -> None:
    entry = new_entry(1, "c", 1, Wish(CHANNEL, "cart", Set({})), Basis(None), 0)
    core = CoreModel()
    core.write(CHANNEL, "cart", {"a": 1})
    document = core.document(CHANNEL, "cart")
    assert document is not None
    waiting = OpenConflict(5, CHANNEL, "ask", "edit-conflict", Conflict(2))
    store = reopen()
    store.open("guest")
    store.write([PutEntry(row_of(entry)), PutDocument(document), PutWaiting(waiting)])
    store.write([DropEntry(1), DropDocument(CHANNEL, "cart"), DropWaiting(5)])
    stored = reopen().open("guest")
    assert (stored.entries, stored.documents, stored.waiting) == ([], [], [])


def test_an_edit_is_kept_in_the_bytes_that_it_is_sent_in(reopen: Reopen) -> None:
    entry = new_entry(1, "c", 1, Wish(CHANNEL, "cart", Set({"name": "김밥"})), Basis(None), 0)
    store = reopen()
    store.open("guest")
    store.write([PutEntry(row_of(entry))])
    assert reopen().open("guest").entries[0].body == entry.body


def test_memory_belongs_to_one_subject() -> None:
    store = MemoryState()
    store.open("guest")
    with pytest.raises(StateStoreError, match="another subject"):
        store.open("owner")


def test_each_subject_has_a_file_of_its_own(tmp_path: Path) -> None:
    first, second = SqliteState(tmp_path), SqliteState(tmp_path)
    first.open("guest")
    first.write([PutCounters("c", 4, 8, "E1")])
    assert second.open("owner").counters is None
    first.close()
    second.close()


def test_a_file_that_was_renamed_to_another_subjects_is_refused(tmp_path: Path) -> None:
    first, second = SqliteState(tmp_path), SqliteState(tmp_path)
    first.open("guest")
    first.close()
    (mine,) = tmp_path.glob("*.state")
    second.open("owner")
    second.close()
    (theirs,) = set(tmp_path.glob("*.state")) - {mine}
    mine.replace(theirs)
    with pytest.raises(StateStoreError, match="another subject"):
        second.open("owner")


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    first = SqliteState(tmp_path)
    first.open("guest")
    with pytest.raises(StateStoreError, match="in use"):
        SqliteState(tmp_path).open("guest")
    first.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    SqliteState(tmp_path).open("guest")
    (file,) = tmp_path.glob("*.state")
    for left in tmp_path.iterdir():
        left.unlink()
    file.write_bytes(b"nothing of ours" * 100)
    with pytest.raises(StateStoreError, match="damaged"):
        SqliteState(tmp_path).open("guest")


def test_what_cannot_be_written_is_not_written_in_part(tmp_path: Path) -> None:
    store = SqliteState(tmp_path)
    store.open("guest")
    entry = new_entry(1, "c", 1, Wish(CHANNEL, "cart", Set({})), Basis(None), 0)
    broken = PutCounters("c", 2, 2, object())  # type: ignore[arg-type]
    with pytest.raises((StateStoreError, sqlite3.Error)):
        store.write([PutEntry(row_of(entry)), broken])
    store.close()
    assert store.open("guest").entries == []
    store.close()


def test_a_subject_is_told_apart_by_role_and_name() -> None:
    subjects = {
        subject_of(token_of("a")),
        subject_of(token_of("b")),
        subject_of(token_of("a", "x")),
    }
    assert len(subjects) == 3


def test_another_token_of_the_same_subject_is_the_same_subject() -> None:
    assert subject_of("h." + token_of("a").split(".")[1] + ".other") == subject_of(token_of("a"))


def test_a_token_that_does_not_name_its_subject_stands_for_itself() -> None:
    assert subject_of("opaque") != subject_of("another")
