"""An edit that nobody could ever settle is refused, so that all that its client does after it goes
on, and other clients notice nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from client_sdk.contract.state.edit import decode_edits
from core_api.access.callers import Caller
from core_api.documents import settling
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits import planning
from core_api.edits import service as edit_service
from core_api.edits.service import EditService
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool

OWNER = Caller("owner-12", "owner", frozenset({"12", "13"}))
_DAMAGED = """
CREATE FUNCTION damaged(value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value LIKE '%77%' THEN
        RAISE EXCEPTION 'missing chunk number 0 for toast value 16999' USING ERRCODE = 'XX001';
    END IF;
    RETURN value;
END $$;
"""
_HISTORY = """
ALTER TABLE document_history RENAME TO document_history_kept;
CREATE VIEW document_history AS
    SELECT channel, key, version, client, n, took_effect, at, made_at, entry,
           damaged(diff) AS diff, value, schema
    FROM document_history_kept;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO document_history_kept (channel, key, version, client, n, took_effect, at, made_at,
                                       entry, diff, value, schema)
    VALUES (NEW.channel, NEW.key, NEW.version, NEW.client, NEW.n, NEW.took_effect, NEW.at,
            NEW.made_at, NEW.entry, NEW.diff, NEW.value, NEW.schema);
    RETURN NEW;
END $$;
CREATE TRIGGER keep INSTEAD OF INSERT ON document_history FOR EACH ROW EXECUTE FUNCTION keep();
"""


@pytest.fixture
def edits(writing: Pool) -> EditService:
    return EditService(
        writing, Definitions(DEFINITIONS), 4, lambda _channels: None, lambda _channel, _key: False
    )


def an_edit(n: int, value: int, base: int = 0, **more: Any) -> dict[str, Any]:
    where = {"channel": "public:12", "key": "waiting-time"}
    return {"n": n, "do": {"set": {"value": value}}, "base": base} | where | more


async def send(edits: EditService, client: str, *given: dict[str, Any]) -> list[str]:
    """What becomes of each; of what is refused, why."""
    batch = decode_edits(msgspec.json.encode({"client": client, "edits": list(given)}))
    answer = await edits.apply(OWNER, batch)
    return [one.problem.slug if one.problem else one.outcome for one in answer.outcomes]


@pytest.mark.parametrize(
    ("odd", "slug"),
    [
        ({"channel": "\0"}, "invalid"),
        ({"channel": "public:12\0"}, "invalid"),
        ({"channel": "public:\u2028"}, "bad-channel"),
        ({"base": 2**31}, "base-ahead"),
        ({"base": 2**53 - 1}, "base-ahead"),
        ({"schema": 2**53 - 1}, "schema-ahead"),
        ({"made_at": "0001-01-01T00:00:00+23:59"}, "too-late"),
        ({"made_at": "9999-12-31T23:59:59-23:59"}, "applied"),
        ({"metadata": {"note": "a\0b"}}, "invalid"),
    ],
)
async def test_odd_values_are_refused_and_what_comes_behind_them_is_settled(
    edits: EditService, odd: dict[str, Any], slug: str
) -> None:
    assert await send(edits, "a", an_edit(1, 10)) == ["applied"]
    behind = an_edit(2, 20, key="taking-orders", do={"set": {"value": True}})
    assert await send(edits, "c", an_edit(1, 15, 1) | odd, behind) == [slug, "applied"]


async def test_an_edit_of_a_document_that_is_no_json_is_refused_and_the_next_is_settled(
    edits: EditService, writing: Pool
) -> None:
    assert await send(edits, "a", an_edit(1, 10)) == ["applied"]
    await writing.execute("UPDATE documents SET value = 'no json' WHERE key = 'waiting-time'")
    other = an_edit(2, 0, key="taking-orders", do={"set": {"value": True}})
    elsewhere = an_edit(1, 30, channel="public:13")
    found = await asyncio.gather(
        send(edits, "c", an_edit(1, 15, 1), other),
        *(send(edits, f"d{n}", elsewhere) for n in range(3)),
    )
    assert found[0] == ["internal", "applied"]
    assert all(one in (["applied"], ["settled"], ["put-aside"]) for one in found[1:])
    assert await send(edits, "c", an_edit(1, 15, 1), other) == ["internal", "applied"]


async def test_a_history_that_postgres_cannot_give_counts_as_forgotten(
    edits: EditService, writing: Pool
) -> None:
    for n, value in enumerate((10, 77, 20), 1):
        assert await send(edits, "a", an_edit(n, value, n - 1)) == ["applied"]
    await writing.execute(_DAMAGED + _HISTORY)
    (late,) = await send(edits, "b", an_edit(1, 30, 1))
    assert late in ("settled", "put-aside", "edit-conflict")
    assert await send(edits, "b", an_edit(2, 40, 3)) in (["applied"], ["settled"])


async def test_a_damaged_history_is_met_under_locks_with_the_only_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit_service, "RACES", 0)
    only = await open_pool(
        database_url, size=1, command_timeout_s=10, name="edits", lock_wait_s=LOCK_WAIT_S
    )
    edits = EditService(
        only, Definitions(DEFINITIONS), 4, lambda _channels: None, lambda _channel, _key: False
    )
    for n, value in enumerate((10, 77, 20), 1):
        assert await send(edits, "a", an_edit(n, value, n - 1)) == ["applied"]
    await only.execute(_DAMAGED + _HISTORY)
    async with asyncio.timeout(60):
        (late,) = await send(edits, "b", an_edit(1, 30, 1))
    only.terminate()
    assert late in ("settled", "put-aside", "edit-conflict")


async def test_an_edit_that_a_bug_meets_is_refused_and_the_next_is_settled(
    edits: EditService, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = settling.settle

    def settle(edit: Any, *more: Any) -> Any:
        if edit.n == 2:
            raise ZeroDivisionError
        return rule(edit, *more)

    monkeypatch.setattr(planning, "settle", settle)
    given = [an_edit(n, n, n - 1) for n in (1, 2)]
    last = an_edit(3, 3, 1)
    assert await send(edits, "a", *given, last) == ["applied", "internal", "applied"]
