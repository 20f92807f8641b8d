"""`yabam db` and `yabam relay set-aside` on a real database, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from client_sdk.cli import main
from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api import wiring
from core_api.access.callers import Caller
from core_api.documents.definitions import GROUP, Definition, Definitions
from core_api.edits.service import EditService

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

_SET_ASIDE = """
INSERT INTO outbox_set_aside (id, shard, store_id, channels, seqs, committed_after, reason, at)
VALUES (7, 3, '12', ARRAY['store:12', 'table:12/5'], ARRAY[4, 2], now(), 'too large',
        '2026-11-22T03:00:00Z')
"""

EXAMPLE: Final = Path(__file__).parents[3] / "docs" / "examples" / "definitions"
FIRST_QUEUE: Final = Definition(
    key="queue",
    scopes=frozenset({"team"}),
    strategy="merge",
    writers=frozenset({"owner"}),
    schema={"type": "object"},
)
"""The queue of docs/state.md as it was before its migration."""

Yabam: TypeAlias = Callable[..., Any]


@pytest.fixture
def yabam(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Yabam:
    """Runs a command on the test's database; its status and what it said."""
    monkeypatch.setenv("YABAM_DATABASE_URL", database_url)

    async def run(*words: str) -> tuple[int, list[str]]:
        status = await asyncio.to_thread(main, words)
        return status, capsys.readouterr().out.splitlines()

    return run


async def test_what_was_set_aside_is_listed_and_tried_again(pool: Pool, yabam: Yabam) -> None:
    await pool.execute(_SET_ASIDE)
    assert await yabam("relay", "set-aside", "list") == (
        0,
        ["7  2026-11-22T03:00:00Z  store:12@4,table:12/5@2  too large"],
    )
    _, (line,) = await yabam("relay", "set-aside", "list", "--json")
    assert json.loads(line) == {
        "id": 7,
        "at": "2026-11-22T03:00:00Z",
        "events": ["store:12@4", "table:12/5@2"],
        "reason": "too large",
    }
    again = await yabam("relay", "set-aside", "retry", "7", "--json")
    assert again == (0, ['{"put_back":1}'])
    assert await yabam("relay", "set-aside", "list") == (0, [])


async def test_migrating_tells_where_the_database_is(yabam: Yabam) -> None:
    assert await yabam("db", "upgrade") == (0, ["the database is at head"])
    assert await yabam("db", "upgrade", "--json") == (0, ['{"revision":"head"}'])


async def test_documents_are_migrated_to_the_newest_schema(
    pool: Pool,
    yabam: Yabam,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edits = EditService(
        pool, Definitions([FIRST_QUEUE]), 4, lambda _channels: None, lambda _channel, _key: False
    )
    names: list[dict[str, Any]] = [{"names": {"a": "Kim"}}, {"nobody": 1}]
    made = [
        Edit(n=n, channel=f"team:{n}", key="queue", do=Set(value), base=0)
        for n, value in enumerate(names, 1)
    ]
    await edits.apply(Caller("kim", "owner", frozenset({"*"})), EditBatch("c", list(made)))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    points = [EntryPoint("bistro", "bistro_documents:DEFINITIONS", GROUP)]
    monkeypatch.setattr(wiring, "entry_points", lambda group: points)
    monkeypatch.setenv("YABAM_DEFINITIONS", '["bistro"]')
    capsys.readouterr()  # what the edits have logged
    status, lines = await yabam("state", "migrate")
    assert (status, lines[0]) == (1, "1 documents migrated"), lines
    (left,) = lines[1:]
    assert left.startswith("left as it is: team:2 queue at version 1: ")
    row = await pool.fetchrow("SELECT version, schema, value FROM documents ORDER BY channel")
    assert row is not None
    assert (row[0], row[1], json.loads(row[2])) == (
        2, 2, {"parties": {"a": {"name": "Kim", "size": 2}}},
    )  # fmt: skip
    _, (line,) = await yabam("state", "migrate", "--json")
    assert json.loads(line)["documents"] == 0


async def test_a_new_epoch_is_told(yabam: Yabam) -> None:
    _, (line,) = await yabam("db", "new-epoch", "--json")
    assert len(json.loads(line)["epoch"]) == 26


async def test_a_database_that_did_not_go_back_is_told_so(yabam: Yabam) -> None:
    _, (line,) = await yabam("db", "restore-check", "--look", "--json")
    assert json.loads(line) == {"signs": 0, "compared": "its identity only"}


async def test_a_database_that_is_not_there_ends_a_command_with_1(
    yabam: Yabam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YABAM_DATABASE_URL", "postgresql://u@127.0.0.1:1/none")
    assert await yabam("db", "upgrade") == (1, [])


async def test_without_a_setting_a_command_ends_with_2(
    yabam: Yabam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YABAM_DATABASE_URL")
    assert await yabam("db", "upgrade") == (2, [])
