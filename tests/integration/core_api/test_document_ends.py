"""Documents that end: deleted by Core itself, once, with an event, and never too early."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.document import decode_document_event
from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Operation, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.edits.history_reading import Position, read_document, read_entries, read_version
from core_api.edits.service import EditService
from core_api.postgres.pool import Pool
from core_api.retention.log_trim import trim_empty
from core_api.system_edits.document_access import DocumentAccess
from core_api.system_edits.ending import Ending
from core_api.system_edits.session_renewals import hear_of

OWNER = Caller("owner-12", "owner", frozenset({"12"}))
SUBJECT = "owner:owner-12"
LATER = datetime.now(UTC) + timedelta(days=365)
PUBLIC = "public:12"
DAY_S = 86_400.0


def definition(key: str, **more: object) -> Definition:
    declared = {
        "key": key,
        "scopes": frozenset({"public"}),
        "schema": {"type": "object"},
        "strategy": "last",
        "writers": frozenset({"owner"}),
    }
    return Definition(**declared | more)  # type: ignore[arg-type]


OFFER = definition("offer", lifetime="until", until=LATER)
DEFINITIONS = Definitions(
    (OFFER, definition("cursor", lifetime="session"), definition("taking-orders"))
)


def service(pool: Pool, definitions: Definitions = DEFINITIONS) -> EditService:
    return EditService(pool, definitions, 4, lambda _: None, lambda _, key: key == "offer")


class Seen:
    """What an Ending tells."""

    def __init__(self, pool: Pool, definitions: Definitions = DEFINITIONS) -> None:
        self.channels: list[str] = []
        self.ended = 0
        self.failures = 0
        self.ending = Ending(
            DocumentAccess(pool, service(pool, definitions).rules, self.channels.extend),
            self._count,
            self._fail,
        )

    def _count(self, documents: int) -> None:
        self.ended += documents

    def _fail(self) -> None:
        self.failures += 1


async def edit(
    edits: EditService, key: str, do: Operation, n: int = 1, client: str = "c1", base: int = 0
) -> None:
    one = Edit(n=n, channel=PUBLIC, key=key, do=do, base=base)
    (outcome,) = (await edits.apply(OWNER, EditBatch(client, [one]))).outcomes
    assert outcome.outcome == "applied", outcome


async def due(pool: Pool, key: str = "%") -> None:
    await pool.execute(
        "UPDATE documents SET ends_at = now() - interval '1 s'"
        " WHERE ends_at IS NOT NULL AND key LIKE $1",
        key,
    )


async def standing(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT key, version FROM documents WHERE value IS NOT NULL")
    return {row[0]: row[1] for row in rows}


OVER = Definitions((definition("offer", lifetime="until", until=datetime(2020, 1, 1, tzinfo=UTC)),))
"""The definitions once the offer's moment has come."""


async def test_an_end_is_an_event_by_system_with_version_history_and_digest(writing: Pool) -> None:
    edits = service(writing)
    await edit(edits, "offer", Set({"a": 1}))
    await edit(edits, "taking-orders", Set({"value": True}), 2)
    await due(writing)
    seen = Seen(writing, OVER)
    assert await seen.ending.round() == 1
    assert (seen.channels, seen.ended, seen.failures) == ([PUBLIC], 1, 0)
    seq, body = tuple(
        await writing.fetchrow("SELECT seq, body FROM channel_log ORDER BY seq DESC LIMIT 1") or ()
    )
    event = decode_document_event(f'{{"id":"{PUBLIC}@{seq}","seq":{seq},{body}')
    assert (event.key, event.version, event.operation, event.by, event.edit, event.data) == (
        "offer", 2, "delete", "system", None, None,
    )  # fmt: skip
    head = await writing.fetchrow(
        "SELECT content_digest, head, content_head, open_orders, rules FROM channel_heads"
        " WHERE channel = $1",
        PUBLIC,
    )
    assert head is not None
    assert int.from_bytes(head[0].bytes, "big") == document_hash(
        "taking-orders", 1, {"value": True}
    )
    assert tuple(head)[1:4] == (3, 3, 1)
    page = await read_entries(writing, PUBLIC, "offer", Position(1), 10)
    assert [(e.by, e.client, e.version, e.operation) for e in page.events] == [
        ("system", "", 2, "delete")
    ]
    told = await read_version(writing, PUBLIC, "offer", 2)
    assert told is not None
    assert b'"value":null' in told
    assert await writing.fetchval("SELECT count(*) FROM outbox") == 3


async def test_orders_learn_of_the_end_of_what_they_obey(writing: Pool) -> None:
    await edit(service(writing), "offer", Set({"a": 1}))
    rules = "SELECT rules FROM channel_heads WHERE channel = 'store:12'"
    before = await writing.fetchval(rules)
    await due(writing)
    await Seen(writing, OVER).ending.round()
    assert await writing.fetchval(rules) > before


async def test_what_is_not_due_stays(writing: Pool) -> None:
    await edit(service(writing), "offer", Set({"a": 1}))
    assert await Seen(writing).ending.round() == 0
    assert await standing(writing) == {"offer": 1}


async def test_an_end_that_the_operator_has_moved_does_not_come(writing: Pool) -> None:
    await edit(service(writing), "offer", Set({"a": 1}))
    await due(writing)
    assert await Seen(writing).ending.round() == 0
    assert await writing.fetchval("SELECT ends_at FROM documents") == LATER


async def test_an_end_that_the_operator_has_taken_away_does_not_come(writing: Pool) -> None:
    await edit(service(writing), "offer", Set({"a": 1}))
    await due(writing)
    assert await Seen(writing, Definitions((definition("offer"),))).ending.round() == 0
    assert await writing.fetchval("SELECT ends_at FROM documents") is None
    assert await standing(writing) == {"offer": 1}


async def test_what_nothing_defines_any_more_ends(writing: Pool) -> None:
    await edit(service(writing), "offer", Set({"a": 1}))
    await due(writing)
    assert await Seen(writing, Definitions(())).ending.round() == 1


async def test_two_processes_end_each_document_once(writing: Pool) -> None:
    edits = service(writing)
    for n in range(30):
        await edit(edits, f"cursor.c{n}", Set({"a": n}), client=f"c{n}")
    await due(writing)
    one, other = Seen(writing), Seen(writing)
    done = await asyncio.gather(one.ending.round(batch=4), other.ending.round(batch=3))
    assert sum(done) == 30
    assert await standing(writing) == {}
    assert await writing.fetchval("SELECT count(*) FROM channel_log") == 60


async def test_a_document_that_fails_stops_no_other(writing: Pool) -> None:
    edits = service(writing)
    for n in range(6):
        await edit(edits, f"cursor.c{n}", Set({"a": n}), client=f"c{n}")
    await due(writing)
    await writing.execute("UPDATE documents SET value = 'no json' WHERE key = 'cursor.c2'")
    seen = Seen(writing)
    assert await seen.ending.round(batch=4) == 5
    assert seen.failures == 1
    assert await standing(writing) == {"cursor.c2": 1}


async def test_a_document_that_postgres_cannot_give_stops_no_other(writing: Pool) -> None:
    edits = service(writing)
    for n in range(6):
        await edit(edits, f"cursor.c{n}", Set({"a": n}), client=f"c{n}")
    await due(writing)
    # Text that is none: whoever is given it cannot read it.
    await writing.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    await writing.execute(
        "UPDATE documents SET value = '\\xff'::bytea::text WHERE key IN ('cursor.c2', 'cursor.c4')"
    )
    seen = Seen(writing)
    assert await seen.ending.round(batch=4) == 4
    assert seen.failures == 2
    assert await standing(writing) == {"cursor.c2": 1, "cursor.c4": 1}


async def test_a_document_that_somebody_holds_is_left_for_later(writing: Pool, pool: Pool) -> None:
    edits = service(writing)
    for n in range(3):
        await edit(edits, f"cursor.c{n}", Set({"a": n}), client=f"c{n}")
    await due(writing)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM documents WHERE key = 'cursor.c1' FOR UPDATE")
        assert await Seen(writing).ending.round() == 2
    assert await Seen(writing).ending.round() == 1


async def test_a_channel_that_somebody_holds_delays_only_its_own_documents(
    writing: Pool, pool: Pool
) -> None:
    edits = service(writing)
    await edit(edits, "cursor.c1", Set({}))
    other = Caller("owner-13", "owner", frozenset({"13"}))
    one = Edit(n=1, channel="public:13", key="cursor.c2", do=Set({}), base=0)
    await edits.apply(other, EditBatch("c2", [one]))
    await due(writing)
    seen = Seen(writing)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM channel_heads WHERE channel = $1 FOR UPDATE", PUBLIC)
        assert await seen.ending.round() == 1
    assert await seen.ending.round() == 1


async def test_a_session_goes_on_when_its_client_edits_and_when_it_asks(writing: Pool) -> None:
    edits = service(writing)
    await edit(edits, "cursor.c1", Set({"a": 1}))
    await due(writing)
    known = await hear_of(writing, DEFINITIONS, "c1", SUBJECT)
    assert known is not None
    assert known.settled == 1
    assert await Seen(writing).ending.round() == 0
    await due(writing)
    await edit(edits, "cursor.c1", Set({"a": 2}), 2, base=1)
    assert await Seen(writing).ending.round() == 0
    await due(writing)
    assert await Seen(writing).ending.round() == 1


async def test_nobody_else_keeps_a_session_alive(writing: Pool) -> None:
    edits = service(writing)
    await edit(edits, "cursor.c1", Set({"a": 1}))
    await due(writing)
    await hear_of(writing, DEFINITIONS, "c1", "owner:somebody-else")
    await hear_of(writing, DEFINITIONS, "c2", SUBJECT)
    assert await Seen(writing).ending.round() == 1


async def test_hearing_often_writes_seldom(writing: Pool) -> None:
    edits = service(writing)
    await edit(edits, "cursor.c1", Set({"a": 1}))
    rows = "SELECT d.xmin::text, c.xmin::text FROM documents d, edit_clients c"
    before = tuple(await writing.fetchrow(rows) or ())
    await hear_of(writing, DEFINITIONS, "c1", SUBJECT)
    assert tuple(await writing.fetchrow(rows) or ()) == before


async def test_an_ended_document_is_made_anew_and_its_version_goes_on(writing: Pool) -> None:
    edits = service(writing)
    await edit(edits, "cursor.c1", Set({"a": 1}))
    await due(writing)
    await Seen(writing).ending.round()
    await edit(edits, "cursor.c1", Set({"a": 2}), 2)
    assert await standing(writing) == {"cursor.c1": 3}
    told = await read_document(writing, PUBLIC, "cursor.c1")
    assert told is not None
    assert b'"value":{"a":2}' in told


async def test_the_row_of_a_document_that_never_was_goes_after_a_day_unless_it_is_held(
    writing: Pool, pool: Pool
) -> None:
    for key, age in (("old", "2 days"), ("held", "2 days"), ("new", "1 hour")):
        await writing.execute(
            "INSERT INTO documents (channel, key, version, schema, facts, made_at, updated_at)"
            f" VALUES ($1, $2, 0, 1, '', now(), now() - interval '{age}')",
            PUBLIC,
            key,
        )
    await edit(service(writing), "offer", Set({"a": 1}))
    await writing.execute("UPDATE documents SET updated_at = '2020-01-01' WHERE version > 0")
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM documents WHERE key = 'held' FOR UPDATE")
        assert await trim_empty(writing, DAY_S, 100) == 1
    keys = {row[0] for row in await writing.fetch("SELECT key FROM documents")}
    assert keys == {"held", "new", "offer"}
