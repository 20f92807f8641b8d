"""`yabam state migrate`: old values become new ones, as versions with events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Merge, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.edits.history_reading import Position, read_document, read_entries
from core_api.edits.plan import Rules
from core_api.edits.service import EditService
from core_api.postgres.pool import Pool
from core_api.system_edits.schema_migration import Migrated, connected, migrate_values

OWNER = Caller("owner-12", "owner", frozenset({"*"}))


def definition(version: int, **more: Any) -> Definition:
    number = {"type": "integer"} if version == 1 else {"type": "object"}
    declared: dict[str, Any] = {
        "key": "price",
        "scopes": frozenset({"public"}),
        "schema": {"type": "object", "properties": {"value": number}},
        "strategy": "merge",
        "writers": frozenset({"owner"}),
        "schema_version": version,
    }
    return Definition(**declared | more)


def to_object(value: dict[str, Any]) -> dict[str, Any]:
    """A bare number becomes an amount; it fails on a value without one."""
    return {"value": {"amount": value["value"]}}


OLD = Definitions((definition(1),))
NEW = Definitions((definition(2, migrations={1: to_object}),))
SAME = Definitions((definition(2, migrations={1: lambda value: value}, schema={"type": "object"}),))


def rules(definitions: Definitions) -> Rules:
    return Rules(definitions, 4, lambda _channel, _key: False)


@pytest.fixture
async def old(pool: Pool) -> Pool:
    """Five stores have a price of the old schema; the third has none in its document."""
    edits = EditService(pool, OLD, 4, lambda _: None, lambda _channel, _key: False)
    values: list[dict[str, Any]] = [{"value": 10 * n} for n in range(5)]
    values[2] = {}
    batch = [
        Edit(n=n + 1, channel=f"public:{n}", key="price", do=Set(value), base=0)
        for n, value in enumerate(values)
    ]
    answer = await edits.apply(OWNER, EditBatch("c1", list(batch)))
    assert {outcome.outcome for outcome in answer.outcomes} == {"applied"}
    return pool


async def migrate(url: str, definitions: Definitions = NEW, batch: int = 2) -> Migrated:
    async with connected(url) as connection:
        return await migrate_values(connection, rules(definitions), batch)


async def test_a_value_is_migrated_as_a_version_with_history_event_and_digest(
    old: Pool, database_url: str
) -> None:
    assert (await migrate(database_url)).documents == 4
    body = await read_document(old, "public:1", "price")
    assert body is not None
    document = msgspec.json.decode(body)
    assert (document["version"], document["schema"], document["by"], document["value"]) == (
        2, 2, "system", {"value": {"amount": 10}},
    )  # fmt: skip
    digest = await old.fetchval(
        "SELECT content_digest FROM channel_heads WHERE channel = 'public:1'"
    )
    assert int.from_bytes(digest.bytes, "big") == document_hash("price", 2, document["value"])
    page = await read_entries(old, "public:1", "price", Position(1), 10)
    assert [(entry.version, entry.by, entry.client) for entry in page.events] == [(2, "system", "")]
    assert await old.fetchval("SELECT count(*) FROM channel_log WHERE channel = 'public:1'") == 2
    assert await old.fetchval("SELECT count(*) FROM outbox") == 9


async def test_a_document_whose_migration_fails_is_listed_and_left(
    old: Pool, database_url: str
) -> None:
    (line,) = (await migrate(database_url)).failed
    assert line.startswith("public:2 price at version 1: ")
    body = await read_document(old, "public:2", "price")
    assert body is not None
    assert (msgspec.json.decode(body)["schema"], msgspec.json.decode(body)["value"]) == (1, {})


async def test_a_value_that_postgres_cannot_give_is_listed_and_stops_no_other(
    old: Pool, database_url: str
) -> None:
    await old.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    await old.execute(
        "UPDATE documents SET value = '\\xff'::bytea::text WHERE channel = 'public:1'"
    )
    done = await migrate(database_url)
    assert done.documents == 3
    assert [line.partition(":")[2][:7] for line in done.failed] == ["1 price", "2 price"]


async def test_a_value_that_breaks_the_new_schema_is_listed_and_left(
    old: Pool, database_url: str
) -> None:
    wrong = Definitions((definition(2, migrations={1: lambda value: value}),))
    done = await migrate(database_url, wrong)
    assert len(done.failed) == 4
    assert done.documents == 1  # the one that has no value at all


async def test_run_again_it_does_what_is_left_and_nothing_twice(
    old: Pool, database_url: str
) -> None:
    await old.execute("UPDATE documents SET value = 'no json' WHERE channel = 'public:0'")
    assert (await migrate(database_url)).documents == 3
    await old.execute("UPDATE documents SET value = '{\"value\":5}' WHERE channel = 'public:0'")
    assert (await migrate(database_url)).documents == 1
    assert (await migrate(database_url)).documents == 0
    assert await old.fetchval("SELECT max(version) FROM documents") == 2


async def test_a_value_that_stays_the_same_has_the_new_schema_by_a_version_of_its_own(
    old: Pool, database_url: str
) -> None:
    assert (await migrate(database_url, SAME)).documents == 5
    assert (await migrate(database_url, SAME)).documents == 0
    edits = EditService(old, SAME, 4, lambda _: None, lambda _channel, _key: False)
    one = Edit(n=1, channel="public:3", key="price", do=Merge({"note": "x"}), base=1)
    (outcome,) = (await edits.apply(OWNER, EditBatch("c2", [one]))).outcomes
    assert (outcome.outcome, outcome.version) == ("settled", 3)
    assert outcome.value == {"value": 30, "note": "x"}


async def test_a_document_that_is_deleted_is_left(old: Pool, database_url: str) -> None:
    await old.execute("UPDATE documents SET value = NULL WHERE channel = 'public:2'")
    done = await migrate(database_url)
    assert (done.documents, done.failed) == (4, [])
