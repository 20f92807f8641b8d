"""Edits against a real Postgres: settled once each, in order, with their event in the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import format_content_digest
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.document import decode_document_event
from client_sdk.contract.state.edit import Edit, EditBatch, OwnEdit
from client_sdk.contract.state.operations import Add, Call, Delete, Merge, Operation, Set
from client_sdk.contract.state.patch import apply_patch
from core_api.access.callers import Caller
from core_api.documents.definitions import Definitions
from core_api.documents.demonstration import DEFINITIONS
from core_api.edits import history_reading, planning
from core_api.edits import service as edit_service
from core_api.edits.history_reading import read_version
from core_api.edits.requests import EditRequest
from core_api.edits.service import EditService
from core_api.edits.writing import write_plan
from core_api.errors import (
    ClientTakenError,
    EditGapError,
    EditMismatchError,
    TooManyClientsError,
)
from core_api.postgres.lock_queues import LockQueues
from core_api.postgres.pool import LOCK_WAIT_S, Pool, open_pool
from core_api.retention.log_trim import CLIENTS_KEPT_S, trim_clients
from server_common.limits import ANSWERS_KEPT, ANSWERS_UNTOLD, SUBJECT_CLIENTS

OWNER = Caller("owner-12", "owner", frozenset({"12"}))
GUEST = Caller("table:12/5", "table", table=Channel("table", "12", "5"))
BRAND = Caller("keeper", "brand", brand="b")
PARTITIONS = 4


class Till:
    """A client that numbers its edits."""

    def __init__(self, edits: EditService, caller: Caller, client: str) -> None:
        self.edits = edits
        self.caller = caller
        self.client = client
        self.n = 0

    def edit(self, channel: str, key: str, do: Operation, base: int | OwnEdit | None = 0) -> Edit:
        self.n += 1
        return Edit(n=self.n, channel=channel, key=key, do=do, base=base)

    async def send(self, *edits: Edit, atomic: bool = False, answered: int = 0):  # type: ignore[no-untyped-def]
        return await self.edits.apply(
            self.caller, EditBatch(self.client, list(edits), atomic, answered)
        )

    async def do(self, channel: str, key: str, do: Operation, base: int | OwnEdit | None = 0):  # type: ignore[no-untyped-def]
        return (await self.send(self.edit(channel, key, do, base))).outcomes[0]


def service(pool: Pool, told: list[str] | None = None) -> EditService:
    def committed(channels: Sequence[str]) -> None:
        if told is not None:
            told.extend(channels)

    return EditService(
        pool,
        Definitions(DEFINITIONS),
        PARTITIONS,
        committed,
        lambda channel, key: channel.kind == "public" and key in ("sold-out", "taking-orders"),
    )


async def log_of(pool: Pool, channel: str) -> list[tuple[int, str]]:
    rows = await pool.fetch(
        "SELECT seq, body FROM channel_log WHERE channel = $1 ORDER BY seq", channel
    )
    return [(row[0], row[1]) for row in rows]


async def test_an_edit_is_stored_logged_and_queued_in_one_transaction(writing: Pool) -> None:
    told: list[str] = []
    till = Till(service(writing, told), OWNER, "c1")
    outcome = await till.do("public:12", "waiting-time", Set({"value": 20}))
    assert (outcome.outcome, outcome.version) == ("applied", 1)
    ((seq, body),) = await log_of(writing, "public:12")
    event = decode_document_event(f'{{"id":"public:12@{seq}","seq":{seq},{body}')
    assert (event.type, event.key, event.version, event.operation) == (
        "document.changed", "waiting-time", 1, "create",
    )  # fmt: skip
    assert event.data == {"value": 20}
    assert event.edit is not None
    assert (event.edit.client, event.edit.n, event.by) == ("c1", 1, "owner")
    row = await writing.fetchrow("SELECT store_id, channels, seqs FROM outbox")
    assert row is not None
    assert tuple(row) == ("12", ["public:12"], [1])
    assert told == ["public:12"]


async def test_the_channels_digest_is_that_of_its_documents(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    await till.do("public:12", "waiting-time", Set({"value": 20}))
    await till.do("public:12", "waiting-time", Set({"value": 25}), 1)
    await till.do("public:12", "taking-orders", Set({"value": True}))
    row = await writing.fetchrow(
        "SELECT content_digest, head, content_head, open_orders FROM channel_heads"
        " WHERE channel = 'public:12'"
    )
    assert row is not None
    expected = document_hash("waiting-time", 2, {"value": 25}) ^ document_hash(
        "taking-orders", 1, {"value": True}
    )
    assert int.from_bytes(row[0].bytes, "big") == expected, format_content_digest(expected)
    assert tuple(row)[1:] == (3, 3, 2)


async def test_a_deleted_document_leaves_the_digest_and_keeps_its_version(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    await till.do("public:12", "waiting-time", Set({"value": 20}))
    gone = await till.do("public:12", "waiting-time", Delete(), 1)
    assert (gone.outcome, gone.version) == ("applied", 2)
    head = await writing.fetchrow("SELECT content_digest, open_orders FROM channel_heads")
    assert head is not None
    assert (int.from_bytes(head[0].bytes, "big"), head[1]) == (0, 0)
    again = await till.do("public:12", "waiting-time", Set({"value": 5}), 2)
    assert (again.outcome, again.version) == ("applied", 3)


async def test_a_repeat_gets_the_first_answer_and_changes_nothing(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    edit = till.edit("public:12", "waiting-time", Set({"value": 20}))
    first = (await till.send(edit)).outcomes[0]
    second = (await till.send(edit)).outcomes[0]
    assert second == msgspec.structs.replace(first, repeated=True)
    assert len(await log_of(writing, "public:12")) == 1


async def test_a_request_that_is_half_known_goes_on_where_it_was_cut(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    one = till.edit("public:12", "waiting-time", Set({"value": 1}))
    two = till.edit("public:12", "waiting-time", Set({"value": 2}), OwnEdit(1))
    await till.send(one)
    answer = await till.send(one, two)
    assert [(o.outcome, o.repeated) for o in answer.outcomes] == [
        ("applied", True),
        ("applied", False),
    ]
    assert answer.settled == 2


async def test_the_same_number_with_other_content_is_refused(writing: Pool) -> None:
    edits = service(writing)
    await Till(edits, OWNER, "c1").do("public:12", "waiting-time", Set({"value": 20}))
    with pytest.raises(EditMismatchError):
        await Till(edits, OWNER, "c1").do("public:12", "waiting-time", Set({"value": 21}))


async def test_a_number_that_leaves_some_out_settles_nothing(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    till.n = 4
    with pytest.raises(EditGapError) as gap:
        await till.do("public:12", "waiting-time", Set({"value": 20}))
    assert gap.value.settled == 0
    assert await log_of(writing, "public:12") == []


async def test_a_client_belongs_to_the_first_subject_that_uses_it(writing: Pool) -> None:
    edits = service(writing)
    await Till(edits, OWNER, "c1").do("public:12", "waiting-time", Set({"value": 20}))
    other = Till(edits, Caller("other", "owner", frozenset({"12"})), "c1")
    other.n = 1
    with pytest.raises(ClientTakenError):
        await other.do("public:12", "waiting-time", Set({"value": 21}), 1)


@pytest.mark.parametrize(
    ("channel", "key", "do", "slug"),
    [
        ("nowhere:12", "cart", Set({}), "bad-channel"),
        ("public:12", "unknown", Set({}), "unknown-document"),
        ("public:15", "waiting-time", Set({"value": 1}), "forbidden"),
        ("global", "notice", Set({"text": "a", "level": "info"}), "forbidden"),
        ("public:12", "waiting-time", Set({"value": "soon"}), "invalid"),
        ("party:12/5", "bell", Set({"rung": 1, "answered": 0}), "forbidden-operation"),
    ],
)
async def test_a_refused_edit_uses_up_its_number_and_stops_nothing(
    writing: Pool, channel: str, key: str, do: Operation, slug: str
) -> None:
    till = Till(service(writing), OWNER, "c1")
    bad = till.edit(channel, key, do)
    good = till.edit("public:12", "waiting-time", Set({"value": 20}))
    answer = await till.send(bad, good)
    assert [o.outcome for o in answer.outcomes] == ["refused", "applied"]
    problem = answer.outcomes[0].problem
    assert problem is not None
    assert problem.slug == slug
    assert answer.settled == 2


async def test_an_atomic_batch_takes_effect_whole_or_not_at_all(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    good = till.edit("public:12", "waiting-time", Set({"value": 20}))
    bad = till.edit("public:12", "taking-orders", Set({"value": 1}))
    answer = await till.send(good, bad, atomic=True)
    assert [o.problem and o.problem.slug for o in answer.outcomes] == ["depends", "invalid"]
    assert await log_of(writing, "public:12") == []
    assert (await till.do("public:12", "waiting-time", Set({"value": 20}))).outcome == "applied"


async def test_a_brands_event_goes_to_every_shard(writing: Pool) -> None:
    keeper = Till(service(writing), BRAND, "c1")
    menu = Set({"currency": "KRW", "items": {}})
    assert (await keeper.do("brand:b", "menu", menu)).outcome == "applied"
    rows = await writing.fetch("SELECT shard, store_id, channels, seqs FROM outbox ORDER BY shard")
    assert [tuple(row) for row in rows] == [
        (shard, None, ["brand:b"], [1]) for shard in range(PARTITIONS)
    ]


async def test_four_phones_fill_one_cart_and_nothing_is_lost(writing: Pool) -> None:
    edits = service(writing)
    phones = [Till(edits, OWNER, f"phone{n}") for n in range(4)]

    async def fill(phone: Till, who: int) -> None:
        for line in range(10):
            name = f"{who}-{line}"
            entry = {"lines": {name: {"name": name, "quantity": 1, "unit_price": 1}}}
            outcome = await phone.do("party:12/5", "cart", Merge(entry))
            assert outcome.outcome in ("applied", "settled")

    await asyncio.gather(*(fill(phone, n) for n, phone in enumerate(phones)))
    value = await writing.fetchval("SELECT value FROM documents WHERE key = 'cart'")
    lines = msgspec.json.decode(value)["lines"]
    assert sorted(lines) == sorted(f"{n}-{line}" for n in range(4) for line in range(10))
    assert [seq for seq, _ in await log_of(writing, "party:12/5")] == list(range(1, 41))


async def test_two_processes_that_edit_one_document_settle_every_edit(database_url: str) -> None:
    pools = [
        await open_pool(
            database_url, size=4, command_timeout_s=10, name="edits", lock_wait_s=LOCK_WAIT_S
        )
        for _ in range(2)
    ]
    services = [service(pool) for pool in pools]

    async def ring(client: int) -> None:
        till = Till(services[client % 2], OWNER, f"c{client}")
        for _ in range(10):
            outcome = await till.do("party:12/5", "bell", Call("ring", {}), None)
            assert outcome.outcome in ("applied", "settled"), outcome

    await asyncio.gather(*(ring(n) for n in range(8)))
    value = await pools[0].fetchval("SELECT value FROM documents WHERE key = 'bell'")
    assert msgspec.json.decode(value)["rung"] == 80
    for pool in pools:
        pool.terminate()


async def test_the_history_of_a_document_gives_its_value_at_each_version(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    await till.do("public:12", "waiting-time", Set({"value": 0}))
    for version in range(1, 80):
        await till.do("public:12", "waiting-time", Add({"/value": 1}), version)
    rows = await writing.fetch(
        "SELECT version, value IS NOT NULL FROM document_history ORDER BY version"
    )
    assert [row[0] for row in rows] == list(range(1, 81))
    assert [row[0] for row in rows if row[1]] == [1, 33, 65]


@pytest.fixture
def in_loop(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that edits are planned whether it is done in the event loop."""
    threads: list[bool] = []
    plan = planning.plan_edits

    def watched(*args: object) -> object:
        threads.append(threading.current_thread() is threading.main_thread())
        return plan(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(edit_service, "plan_edits", watched)
    return threads


async def test_a_large_request_is_settled_beside_the_event_loop(
    writing: Pool, in_loop: list[bool]
) -> None:
    till = Till(service(writing), OWNER, "c1")
    items = {f"i{n}": {"name": "x" * 100} for n in range(1000)}
    for first in range(0, 1000, 250):
        some = dict(list(items.items())[first : first + 250])
        await till.do("public:12", "sold-out", Merge({"items": some}), None)
    assert in_loop == [True] * 4
    changes = [
        till.edit("public:12", "sold-out", Merge({"items": {f"j{n}": {"name": "y"}}}), None)
        for n in range(10)
    ]
    answer = await till.send(*changes)
    assert [one.outcome for one in answer.outcomes] == ["settled"] * 10
    assert in_loop == [True] * 4 + [False]


async def test_a_late_edit_of_a_document_with_a_long_history_is_settled_beside_the_event_loop(
    writing: Pool, in_loop: list[bool]
) -> None:
    till = Till(service(writing), OWNER, "c1")
    names = [f"i{n}" for n in range(250)]
    for version in range(40):
        items = {name: {"name": f"{version}"} for name in names}
        await till.do("public:12", "sold-out", Set({"items": items}), version)
    assert in_loop == [True] * 40
    late = Merge({"items": {"i0": {"name": "late"}}})
    await till.do("public:12", "sold-out", late, 39)
    assert in_loop[40:] == [True]
    await till.do("public:12", "sold-out", late, 1)
    assert in_loop[41:] == [False]


async def test_an_earlier_version_that_is_made_of_much_is_made_beside_the_event_loop(
    writing: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[bool] = set()

    def watched(value: object, diff: Any) -> Any:
        threads.add(threading.current_thread() is threading.main_thread())
        return apply_patch(value, diff)

    monkeypatch.setattr(history_reading, "apply_patch", watched)
    till = Till(service(writing), OWNER, "c1")
    names = [f"i{n}" for n in range(250)]
    for version in range(31):
        items = {name: {"name": f"{version}" * 20} for name in names}
        await till.do("public:12", "sold-out", Set({"items": items}), version)
    for version, is_in_loop in ((2, True), (31, False)):
        threads.clear()
        body = await read_version(writing, "public:12", "sold-out", version)
        assert body is not None
        value = msgspec.json.decode(body)["value"]
        assert value["items"]["i9"] == {"name": f"{version - 1}" * 20}
        assert threads == {is_in_loop}


async def test_a_client_that_was_heard_of_by_a_clock_ahead_is_heard_of_now(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    await till.do("public:12", "waiting-time", Set({"value": 1}))
    await writing.execute("UPDATE edit_clients SET seen_at = now() + interval '1 year'")
    await till.do("public:12", "waiting-time", Set({"value": 2}), 1)
    assert await writing.fetchval("SELECT seen_at <= now() FROM edit_clients")


async def test_where_many_wait_edits_are_settled_while_others_are_written(
    writing: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, others_too = asyncio.Event(), asyncio.Event()

    async def watched(*args: object) -> object:
        if writes.is_set():
            others_too.set()
        writes.set()
        await others_too.wait()
        return await write_plan(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(edit_service, "write_plan", watched)
    everywhere = Caller("owner", "owner", frozenset({"*"}))
    edits = service(writing)

    async def edit(n: int) -> str:
        till = Till(edits, everywhere, f"c{n}")
        return str((await till.do(f"public:{n}", "waiting-time", Set({"value": 20}))).outcome)

    async with asyncio.timeout(60):
        first = asyncio.create_task(edit(0))
        await writes.wait()
        answers = await asyncio.gather(*(edit(n + 1) for n in range(edit_service.BESIDE)), first)
    assert answers == ["applied"] * (edit_service.BESIDE + 1)


async def test_many_edits_at_once_share_no_statement_with_more_than_it_can_carry() -> None:
    sizes: list[int] = []

    async def write(requests: Sequence[EditRequest]) -> tuple[None, list[int]]:
        sizes.append(sum(len(request.batch.edits) for request in requests))
        await asyncio.sleep(0)
        return None, [0] * len(requests)

    async def held(requests: Sequence[EditRequest]) -> list[str | None]:
        return [None] * len(requests)

    queues: LockQueues[EditRequest, int] = LockQueues(
        write, held, 1, lambda request: request.weight
    )
    batches = [
        EditBatch(
            f"c{client}", [Edit(n=n, channel="global", key="k", do=Set({})) for n in range(60)]
        )
        for client in range(4)
    ]
    await asyncio.gather(*(queues.ask(EditRequest(OWNER, batch)) for batch in batches))
    assert sizes == [60] * 4


async def test_a_request_about_another_lifetime_of_the_log_settles_nothing(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")
    epoch = await writing.fetchval("SELECT epoch FROM epoch")
    first = till.edit("public:12", "waiting-time", Set({"value": 20}))
    assert (await till.edits.apply(OWNER, EditBatch("c1", [first], epoch=epoch))).settled == 1
    await writing.execute("UPDATE epoch SET epoch = epoch || 'Z'")
    second = till.edit("public:12", "waiting-time", Set({"value": 30}), 1)
    with pytest.raises(EditGapError) as gap:
        await till.edits.apply(OWNER, EditBatch("c1", [second], epoch=epoch))
    assert gap.value.settled == 1
    assert len(await log_of(writing, "public:12")) == 1


async def test_a_subject_may_have_so_many_clients_until_old_ones_fall_away(writing: Pool) -> None:
    edits = service(writing)
    mine = Till(edits, OWNER, "mine")
    await mine.do("public:12", "a", Set({"n": 1}), None)
    await writing.execute(
        "INSERT INTO edit_clients (client, subject, settled)"
        " SELECT 'old-' || n, 'owner:owner-12', 1 FROM generate_series(1, $1) AS n",
        SUBJECT_CLIENTS - 1,
    )
    with pytest.raises(TooManyClientsError, match="10000 clients"):
        await Till(edits, OWNER, "one-more").do("public:12", "a", Set({"n": 2}), None)
    assert await writing.fetchval("SELECT count(*) FROM edit_clients") == SUBJECT_CLIENTS
    await mine.do("public:12", "a", Set({"n": 3}), None)
    await Till(edits, BRAND, "another").do("brand:b", "a", Set({"n": 1}), None)
    await writing.execute(
        "UPDATE edit_clients SET seen_at = now() - interval '91 days' WHERE client = 'old-1'"
    )
    assert await trim_clients(writing, CLIENTS_KEPT_S, 20) == 1
    await Till(edits, OWNER, "one-more").do("public:12", "a", Set({"n": 4}), None)


async def test_a_client_is_noted_as_heard_of_once_a_minute(writing: Pool) -> None:
    till = Till(service(writing), OWNER, "c1")

    async def heard_of() -> float:
        age = "SELECT extract(epoch FROM now() - seen_at)::float8 FROM edit_clients"
        return float(await writing.fetchval(f"{age} WHERE client = 'c1'"))

    async def set_back(seconds: float) -> None:
        earlier = "UPDATE edit_clients SET seen_at = seen_at - make_interval(secs => $1)"
        await writing.execute(f"{earlier} WHERE client = 'c1'", seconds)

    await till.do("public:12", "a", Set({"n": 1}), None)
    await set_back(30.0)
    await till.do("public:12", "a", Set({"n": 2}), None)
    assert await heard_of() >= 30.0, "no index of its row changes"
    await set_back(30.0)
    await till.do("public:12", "a", Set({"n": 3}), None)
    assert await heard_of() < 60.0


async def test_guests_find_room_for_their_clients_once_those_before_are_idle_or_have_left(
    writing: Pool,
) -> None:
    edits = service(writing)
    dish = {"name": "Kimbap", "quantity": 1, "unit_price": 3500}

    async def order_from(phone: str) -> None:
        merge = Merge({"lines": {phone: dish}})
        done = await Till(edits, GUEST, phone).do("party:12/5", "cart", merge, None)
        assert done.problem is None

    await writing.execute(
        "INSERT INTO edit_clients (client, subject, settled)"
        " SELECT 'many-' || n, 'table:table:12/5', 1 FROM generate_series(1, $1) AS n",
        SUBJECT_CLIENTS,
    )
    with pytest.raises(TooManyClientsError, match="for an hour"):
        await order_from("crowded")
    await writing.execute(
        "UPDATE edit_clients SET seen_at = now() - interval '61 minutes' WHERE client = 'many-1'"
    )
    await order_from("idle")
    with pytest.raises(TooManyClientsError):
        await order_from("crowded")
    await Till(edits, OWNER, "till").do("party:12/5", "party", Set({"number": 1}), None)
    await order_from("next")
    assert await writing.fetchval("SELECT count(*) FROM edit_clients") == SUBJECT_CLIENTS + 3


async def test_answers_that_a_client_never_acknowledges_are_forgotten_one_day(
    writing: Pool,
) -> None:
    till = Till(service(writing), OWNER, "mute")
    await till.do("public:12", "a", Set({"n": 1}), None)
    till.n = 12_000
    await writing.execute("UPDATE edit_clients SET settled = 12000")
    await writing.execute(
        "INSERT INTO edit_outcomes (client, n, request_hash, outcome)"
        " SELECT 'mute', n, '', '{}' FROM generate_series(2, 12000) AS n"
    )
    await till.do("public:12", "a", Set({"n": 2}), None)
    oldest = await writing.fetchval("SELECT min(n) FROM edit_outcomes")
    assert oldest == 12_001 - ANSWERS_UNTOLD - ANSWERS_KEPT + 1
