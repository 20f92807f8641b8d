"""The history of documents and their clients are forgotten, and nothing that is needed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from client_sdk.contract.state.edit import Edit, EditBatch, EditOutcome
from client_sdk.contract.state.operations import Delete, Merge, Operation, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits.history_reading import Position, read_entries, read_version
from core_api.edits.service import EditService
from core_api.errors import EditGapError
from core_api.postgres.pool import Pool
from core_api.retention.document_history_trim import trim_history
from core_api.retention.log_trim import clients_kept_s, trim_clients
from core_api.system_edits.session_renewals import hear_of

OWNER = Caller("owner-12", "owner", frozenset({"12"}))
ALL = Definitions(DEFINITIONS)
PUBLIC, TEAM = "public:12", "team:12"
KEPT_S = clients_kept_s(ALL)


def service(pool: Pool) -> EditService:
    return EditService(pool, ALL, 4, lambda _: None, lambda _channel, _key: False)


class Till:
    """One client that edits one document after the other."""

    def __init__(self, edits: EditService, client: str = "c1") -> None:
        self.edits = edits
        self.client = client
        self.n = 0

    async def do(
        self, channel: str, key: str, do: Operation, base: int | None, **more: Any
    ) -> EditOutcome:
        self.n += 1
        one = Edit(n=self.n, channel=channel, key=key, do=do, base=base, **more)
        return (await self.edits.apply(OWNER, EditBatch(self.client, [one]))).outcomes[0]

    async def make(self, key: str, versions: int, channel: str = PUBLIC) -> None:
        for n in range(versions):
            assert (await self.do(channel, key, Set({"value": n}), n)).version == n + 1


async def age(pool: Pool, key: str, below: int, days: int = 8) -> None:
    """Let the versions up to this one, and what was put aside at them, be so many days old."""
    await pool.execute(
        "UPDATE document_history SET at = at - make_interval(days => $3)"
        " WHERE key = $1 AND version <= $2",
        key,
        below,
        days,
    )


async def kept(pool: Pool, key: str = "waiting-time") -> list[int]:
    rows = await pool.fetch(
        "SELECT version FROM document_history WHERE key = $1 AND took_effect ORDER BY 1", key
    )
    return [row[0] for row in rows]


async def value_at(pool: Pool, version: int, key: str = "waiting-time") -> Any:
    body = await read_version(pool, PUBLIC, key, version)
    return None if body is None else msgspec.json.decode(body)["value"]


async def test_old_versions_go_and_each_that_stays_has_its_value(writing: Pool) -> None:
    await Till(service(writing)).make("waiting-time", 70)
    await age(writing, "waiting-time", 67)
    assert await trim_history(writing, ALL, versions=40) == 64
    assert await kept(writing) == list(range(65, 71))
    assert [await value_at(writing, v) for v in (64, 65, 68, 70)] == [
        None, {"value": 64}, {"value": 67}, {"value": 69},
    ]  # fmt: skip


async def test_a_version_that_is_not_old_yet_stays_though_a_later_one_is_kept_whole(
    writing: Pool,
) -> None:
    await Till(service(writing)).make("waiting-time", 70)
    await age(writing, "waiting-time", 40)
    await trim_history(writing, ALL)
    assert await kept(writing) == list(range(33, 71))


async def test_a_trim_changes_neither_the_document_nor_the_digest(writing: Pool) -> None:
    await Till(service(writing)).make("waiting-time", 40)
    await age(writing, "waiting-time", 40)
    state = (
        "SELECT d.version, d.value, h.head, h.digest::text, h.content_digest::text, h.open_bytes"
        " FROM documents d JOIN channel_heads h USING (channel)"
    )
    before = tuple(await writing.fetchrow(state) or ())
    assert await trim_history(writing, ALL) == 32
    assert tuple(await writing.fetchrow(state) or ()) == before
    assert await value_at(writing, 40) == {"value": 39}


async def test_each_document_is_kept_as_long_as_its_definition_says(writing: Pool) -> None:
    till = Till(service(writing))
    await till.make("waiting-time", 34)  # kept for 7 days
    for n in range(34):  # kept for 30
        await till.do(PUBLIC, "taking-orders", Set({"value": n % 2 == 0}), n)
    for key in ("waiting-time", "taking-orders"):
        await age(writing, key, 34)
    await trim_history(writing, ALL, documents=1)
    assert len(await kept(writing)) == 2
    assert len(await kept(writing, "taking-orders")) == 34


async def test_what_nothing_defines_any_more_is_kept_as_long_as_any(writing: Pool) -> None:
    await Till(service(writing)).make("waiting-time", 34)
    await age(writing, "waiting-time", 34, days=300)
    fewer = Definitions(one for one in DEFINITIONS if one.key != "waiting-time")
    assert await trim_history(writing, fewer) == 0
    await age(writing, "waiting-time", 34, days=66)
    assert await trim_history(writing, fewer) == 32


async def test_of_a_deleted_document_the_end_stays_and_it_can_be_made_anew(writing: Pool) -> None:
    till = Till(service(writing))
    await till.make("waiting-time", 5)
    await till.do(PUBLIC, "waiting-time", Delete(), 5)
    await age(writing, "waiting-time", 6)
    assert await trim_history(writing, ALL) == 5
    body = await read_version(writing, PUBLIC, "waiting-time", 6)
    assert body is not None
    assert msgspec.json.decode(body)["value"] is None
    # Others have made it anew meanwhile: the base is the end, which is all that is kept of before.
    await till.do(PUBLIC, "waiting-time", Set({"value": 1}), 6)
    outcome = await Till(service(writing), "c2").do(
        PUBLIC, "waiting-time", Set({"value": 2}), 6, made_at=None
    )
    assert outcome.outcome == "settled"
    assert (outcome.value, outcome.version) == ({"value": 2}, 8)


async def test_what_was_put_aside_goes_by_its_age(writing: Pool) -> None:
    till = Till(service(writing))
    await till.make("waiting-time", 2)
    assert (await till.do(PUBLIC, "waiting-time", Set({"value": 9}), None)).outcome == "put-aside"
    await age(writing, "waiting-time", 2)
    assert (await till.do(PUBLIC, "waiting-time", Set({"value": 8}), None)).outcome == "put-aside"
    assert await trim_history(writing, ALL) == 1
    page = await read_entries(writing, PUBLIC, "waiting-time", Position(0), 10)
    assert [(event.version, event.n) for event in page.events] == [(1, 1), (2, 2), (None, 4)]


async def test_an_edit_on_a_version_that_is_kept_no_longer_is_settled_without_it(
    writing: Pool,
) -> None:
    """Nobody can tell who changed what: Core's stays, and the author is told."""
    till = Till(service(writing))
    for n in range(40):
        await till.do(TEAM, "shift", Merge({"people": {"a": {"name": f"A{n}"}}}), n)
    await age(writing, "shift", 40, days=31)
    await trim_history(writing, ALL)
    assert min(await kept(writing, "shift")) == 33
    own = Merge({"people": {"a": {"name": "mine"}, "b": {"name": "B"}}})
    outcome = await Till(service(writing), "c2").do(
        TEAM, "shift", own, 5, seen={"/people/a/name": "A4"}
    )
    assert (outcome.outcome, outcome.aside) == ("settled", ["/people/a/name"])
    assert outcome.value == {"people": {"a": {"name": "A39"}, "b": {"name": "B"}}}


async def test_a_client_that_was_forgotten_is_told_of_the_gap_and_begins_anew(
    writing: Pool,
) -> None:
    edits = service(writing)
    till = Till(edits)
    await till.make("waiting-time", 3)
    await writing.execute("UPDATE edit_clients SET seen_at = now() - interval '91 days'")
    await Till(edits, "c2").do(PUBLIC, "taking-orders", Set({"value": True}), 0)
    assert await trim_clients(writing, KEPT_S, 20) == 1
    assert await writing.fetchval("SELECT count(*) FROM edit_outcomes WHERE client = 'c1'") == 0
    assert await writing.fetchval("SELECT count(*) FROM edit_outcomes WHERE client = 'c2'") == 1
    with pytest.raises(EditGapError) as gap:
        await till.do(PUBLIC, "waiting-time", Set({"value": 9}), 3)
    assert gap.value.settled == 0
    anew = await Till(edits, "c3").do(PUBLIC, "waiting-time", Set({"value": 9}), 3)
    assert (anew.outcome, anew.version) == ("applied", 4)


async def test_a_client_that_asks_is_not_forgotten(writing: Pool) -> None:
    edits = service(writing)
    await Till(edits).make("waiting-time", 1)
    await writing.execute("UPDATE edit_clients SET seen_at = now() - interval '91 days'")
    await hear_of(writing, ALL, "c1", "owner:owner-12")
    assert await trim_clients(writing, KEPT_S, 20) == 0


async def test_a_history_that_postgres_cannot_give_keeps_no_other_from_being_trimmed(
    writing: Pool,
) -> None:
    till = Till(service(writing))
    await till.make("waiting-time", 40)
    for n in range(40):
        await till.do(PUBLIC, "taking-orders", Set({"value": n % 2 == 0}), n)
    for key in ("taking-orders", "waiting-time"):
        await age(writing, key, 40, days=40)
    await writing.execute(
        "UPDATE document_history SET diff = 'broken on its disk'"
        " WHERE key = 'taking-orders' AND version = 3"
    )
    await writing.execute(_DAMAGED)
    for documents in (1, 50):
        await trim_history(writing, ALL, documents=documents)
        assert len(await kept(writing)) == 8
        assert len(await kept(writing, "taking-orders")) == 40


_DAMAGED = """
CREATE FUNCTION damaged(value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value = 'broken on its disk' THEN
        RAISE EXCEPTION 'missing chunk number 0 for toast value 16999' USING ERRCODE = 'XX001';
    END IF;
    RETURN value;
END $$;
ALTER TABLE document_history RENAME TO document_history_kept;
CREATE VIEW document_history AS
    SELECT channel, key, version, client, n, took_effect, at, made_at, entry,
           damaged(diff) AS diff, value, schema
    FROM document_history_kept;
"""
