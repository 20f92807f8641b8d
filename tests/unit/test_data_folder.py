"""The folders of tests' servers are in memory only where there is room for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import data_folder as under_test
from tests.data_folder import ROOM_BYTES, data_folder, roomy


def test_is_deleted_with_all_in_it_also_after_a_failure() -> None:
    folders: list[Path] = []

    def fail() -> None:
        with data_folder("yabam-tried-") as folder:
            folders.append(folder)
            (folder / "data").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [one.exists() for one in folders] == [False]


def test_is_in_memory_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "ROOM_BYTES", 0)
    assert roomy(tmp_path) == tmp_path


def test_is_on_disk_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_unused_bytes", lambda: ROOM_BYTES - 1)
    assert roomy(tmp_path) is None


def test_is_on_disk_where_no_file_system_is_in_memory(tmp_path: Path) -> None:
    assert roomy(tmp_path / "missing") is None
