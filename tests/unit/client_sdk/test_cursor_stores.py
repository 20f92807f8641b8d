"""Where cursors are kept: safe once saved, and never guessed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from client_sdk import Checkpoint, CursorStoreError, FileCursors, MemoryCursors, SqliteCursors
from client_sdk.client.cursor_stores import CursorStore

POINT = Checkpoint("epoch-1", {"store:12": 482, "table:12/5": 7})
Make = Callable[[Path], CursorStore]
KEPT: list[tuple[str, Make]] = [
    ("file", lambda folder: FileCursors(folder / "cursor")),
    ("sqlite", lambda folder: SqliteCursors(folder / "cursors.db")),
]


@pytest.fixture(params=[make for _, make in KEPT], ids=[name for name, _ in KEPT])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


async def test_there_is_none_before_the_first_save(make: Make, tmp_path: Path) -> None:
    assert await make(tmp_path).load() is None


async def test_what_was_saved_last_is_there_after_a_restart(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    await store.save(Checkpoint("epoch-1", {"store:12": 1}))
    await store.save(POINT)
    assert await make(tmp_path).load() == POINT


async def test_memory_forgets_with_the_process() -> None:
    store = MemoryCursors()
    await store.save(POINT)
    assert await store.load() == POINT
    assert await MemoryCursors().load() is None


async def test_names_share_one_database(tmp_path: Path) -> None:
    one, two = (SqliteCursors(tmp_path / "db", name) for name in ("one", "two"))
    await one.save(POINT)
    assert await two.load() is None
    assert await one.load() == POINT


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-1],
        lambda whole: whole.replace(b"482", b"483"),
        lambda whole: b"store:12@482",
        lambda whole: b'{"epoch":"e","positions":{}}',
        lambda whole: os.urandom(200),
    ],
    ids=["empty", "cut short", "changed", "another form", "no checksum", "noise"],
)
async def test_a_damaged_or_foreign_file_is_refused_with_what_to_do(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "cursor"
    await FileCursors(path).save(POINT)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CursorStoreError, match="move it away to start anew"):
        await FileCursors(path).load()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(CursorStoreError, match="cannot read"):
        await SqliteCursors(path).load()


async def test_a_row_that_is_no_cursor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = SqliteCursors(path)
    await store.save(POINT)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE yabam_cursor SET checkpoint = '{}'")
    connection.close()
    with pytest.raises(CursorStoreError, match="does not contain a cursor"):
        await store.load()


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CursorStoreError, match=r"cannot write .*missing"):
        await FileCursors(tmp_path / "missing" / "cursor").save(POINT)


async def test_saves_that_overtake_each_other_end_with_the_newest(
    make: Make, tmp_path: Path
) -> None:
    store = make(tmp_path)
    points = [Checkpoint("epoch-1", {"store:12": seq}) for seq in range(1, 30)]
    await asyncio.gather(*(store.save(point) for point in points))
    assert await store.load() == points[-1]


KILLED = """
import asyncio, sys
from client_sdk import Checkpoint, FileCursors, SqliteCursors

async def main():
    kinds = {"file": FileCursors, "sqlite": SqliteCursors}
    store, seq = kinds[sys.argv[1]](sys.argv[2]), 0
    while True:
        seq += 1
        await store.save(Checkpoint("e", {"store:12": seq}))
        print(seq, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_kill_in_the_middle_of_saves_leaves_a_whole_cursor_no_older_than_the_last_save(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "cursor"
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, kind, str(path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        told = 0
        while told < 20:
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait()
        child.stdout.close()
        told = int(rest[-1]) if rest else told
        store = FileCursors(path) if kind == "file" else SqliteCursors(path)
        found = asyncio.run(store.load())
        assert found is not None
        assert found.positions["store:12"] in (told, told + 1)
