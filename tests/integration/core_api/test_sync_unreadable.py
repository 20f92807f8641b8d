"""Fetch Sync of what Postgres cannot give: only the channel that it stands in is affected, and that
one begins anew, is given without the value, or is left out."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.edits.service import EditService
from core_api.errors import UnreadableRowError
from core_api.overload import Bound, PollingPace
from core_api.sync.large_answers import LargeAnswers
from core_api.sync.long_poll import LongPolls
from core_api.sync.reading import read_moved
from core_api.sync.request import SyncRequest
from core_api.sync.service import FetchSync
from core_api.sync.stream_grants import StreamGrants
from server_common.access.tickets import TicketKeys
from tests.integration.core_api.relaying import commands, place

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

OWNER = Caller("o", "owner", frozenset({"12", "13"}))
BROKEN = "broken on its disk"
DAMAGED = """
CREATE FUNCTION damaged(value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF value LIKE '%broken on its disk%' THEN
        RAISE EXCEPTION 'missing chunk number 0 for toast value 16999' USING ERRCODE = '{code}';
    END IF;
    RETURN value;
END $$;
"""
LOG = """
ALTER TABLE channel_log RENAME TO channel_log_kept;
CREATE VIEW channel_log AS
    SELECT channel, seq, order_id, order_version, document_key, type, occurred_at,
           damaged(body) AS body
    FROM channel_log_kept;
"""
ORDERS = """
ALTER TABLE orders RENAME TO orders_kept;
CREATE VIEW orders AS
    SELECT id, store_id, table_id, status, damaged(owner_view) AS owner_view,
           damaged(table_view) AS table_view
    FROM orders_kept;
"""
HEADS = """
ALTER TABLE channel_heads RENAME TO channel_heads_kept;
CREATE VIEW channel_heads AS
    SELECT channel, CASE WHEN channel = 'store:12' THEN damaged('broken on its disk')::bigint
                         ELSE head END AS head
    FROM channel_heads_kept;
"""


async def damage(pool: Pool, what: str, code: str = "XX001") -> None:
    """From now on each read of such a value raises, as of a damaged one, and all else can be
    read."""
    await pool.execute(DAMAGED.replace("{code}", code) + what)


class Syncs:
    """Fetch Sync over a database, and what it tells of what it cannot give."""

    def __init__(self, pool: Pool) -> None:
        self.told: Counter[tuple[str, str]] = Counter()
        self.fetch = FetchSync(
            pool,
            LongPolls(lambda known: read_moved(pool, known), 0.1, 10),
            StreamGrants(
                TicketKeys({"t": b"k" * 32}, "t"),
                lambda _channels: "https://events.example/v1/stream",
                30.0,
            ),
            PollingPace(3000, lambda: 0.0),
            Bound(100, "syncs", lambda low, _high: low),
            10.0,
            lambda _reason: None,
            lambda _channel: None,
            LargeAnswers(asyncio.get_running_loop().time),
            lambda channel, what: self.told.update([(channel, what)]),
        )

    async def __call__(self, after: dict[str, int | None], **more: Any) -> Any:
        """The answer to a sync of these channels from these seqs on."""
        wanted = SyncRequest({parse_channel(name): seq for name, seq in after.items()}, **(
            {"epoch": None, "limit": 500, "wait_s": 0.0} | more))  # fmt: skip
        answered = await self.fetch.answer(OWNER, wanted)
        answer = msgspec.json.decode(answered.body)
        return answer | {"channels": {one["channel"]: one for one in answer["channels"]}}


@pytest.fixture
async def syncs(pool: Pool) -> Syncs:
    on = commands(pool)
    for store in ("12", "13"):
        await place(on, store)
    await place(on, "12", note=BROKEN)
    for store in ("12", "13"):
        await place(on, store)
    return Syncs(pool)


@pytest.mark.parametrize("code", ["XX000", "XX001", "22008", "58030"])
async def test_syncs_of_other_channels_that_share_the_read_go_on(
    pool: Pool, syncs: Syncs, code: str
) -> None:
    await damage(pool, LOG, code)
    stores = ["13"] * 5 + ["12"] + ["13"] * 5
    answers = await asyncio.gather(*(syncs({f"store:{store}": 0}) for store in stores))
    for store, answer in zip(stores, answers, strict=True):
        if store == "13":
            found = answer["channels"]["store:13"]
            assert [event["seq"] for event in found["events"]] == [1, 2]
            assert answer["stream"] is not None


async def test_a_channel_whose_event_cannot_be_given_begins_anew_and_the_others_go_on(
    pool: Pool, syncs: Syncs
) -> None:
    await damage(pool, LOG)
    answer = await syncs({"store:12": 1, "store:13": 1, "table:12/5": 3})
    found = answer["channels"]["store:12"]
    assert (found["reset"], found["snapshot"]["head"]) == ("retention", 3)
    assert sorted(order["note"] for order in found["snapshot"]["orders"]) == ["", "", BROKEN]
    assert [event["seq"] for event in answer["channels"]["store:13"]["events"]] == [2]
    assert answer["channels"]["table:12/5"]["reset"] is None
    assert answer["stream"] is not None
    assert dict(syncs.told) == {("store:12", "event"): 1}


async def test_a_channel_that_is_past_the_event_does_not_notice(pool: Pool, syncs: Syncs) -> None:
    await damage(pool, LOG)
    answer = await syncs({"store:12": 2})
    assert [event["seq"] for event in answer["channels"]["store:12"]["events"]] == [3]
    assert not syncs.told


async def test_a_channel_whose_orders_cannot_be_given_is_left_out_and_the_others_are_given(
    pool: Pool, syncs: Syncs
) -> None:
    await damage(pool, ORDERS)
    answer = await syncs({"store:12": None, "store:13": None, "table:13/5": 1})
    assert sorted(answer["channels"]) == ["store:13", "table:13/5"]
    assert len(answer["channels"]["store:13"]["snapshot"]["orders"]) == 2
    assert answer["stream"] is None, "no ticket proves what was left out"
    assert dict(syncs.told) == {("store:12", "channel"): 1}


async def test_a_sync_of_nothing_that_can_be_given_is_told_so(pool: Pool, syncs: Syncs) -> None:
    await damage(pool, ORDERS)
    with pytest.raises(UnreadableRowError) as raised:
        await syncs({"store:12": None})
    assert "toast" not in raised.value.told


async def test_snapshots_of_other_channels_that_share_the_read_are_given(
    pool: Pool, syncs: Syncs
) -> None:
    await damage(pool, ORDERS)
    stores = ["13"] * 5 + ["12"] + ["13"] * 5
    answers = await asyncio.gather(
        *(syncs({f"store:{store}": None}) for store in stores), return_exceptions=True
    )
    failed = [
        store for store, one in zip(stores, answers, strict=True) if isinstance(one, Exception)
    ]
    assert failed == ["12"]


@pytest.mark.parametrize("what", ["no text", "no JSON"])
async def test_a_document_whose_value_cannot_be_given_stands_there_without_it(
    pool: Pool, syncs: Syncs, what: str
) -> None:
    either = {"scopes": frozenset({"public"}), "schema": {"type": "object"}, "strategy": "last",
              "writers": frozenset({"owner"})}  # fmt: skip
    definitions = Definitions(
        [Definition(key=key, **either) for key in ("bell", "menu")]  # type: ignore[arg-type]
    )
    edits = EditService(pool, definitions, 4, lambda _channels: None, lambda _channel, _key: False)
    batch = [
        Edit(n=n, channel=f"public:{store}", key=key, do=Set({"a": 1}), base=0)
        for n, (store, key) in enumerate(
            [("12", "bell"), ("12", "menu"), ("13", "bell"), ("13", "menu")], 1
        )
    ]
    await edits.apply(OWNER, EditBatch("c", [*batch]))
    if what == "no text":  # Postgres itself reads it, and whoever gets it cannot.
        await pool.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    value = {"no text": "'\\xff'::bytea::text", "no JSON": "'{\"a\":1'"}[what]
    await pool.execute(
        f"UPDATE documents SET value = {value} WHERE channel = 'public:12' AND key = 'menu'"
    )
    answer = await syncs({"public:12": None, "public:13": None})
    damaged, whole = (answer["channels"][f"public:{n}"]["snapshot"]["documents"] for n in (12, 13))
    assert [(one["key"], one["version"]) for one in damaged] == [("bell", 1), ("menu", 1)]
    assert all("value" not in one for one in damaged), "their client fetches each"
    assert [one["value"] for one in whole] == [{"a": 1}, {"a": 1}]
    assert answer["stream"] is not None
    assert dict(syncs.told) == {("public:12", "value"): 1}


NO_JSON = "UPDATE {0} SET {1} = replace({1}, '\"note\":', '\"note:') WHERE {1} LIKE '%broken%'"


async def test_an_event_that_is_no_json_makes_its_channel_begin_anew_and_no_other(
    pool: Pool, syncs: Syncs
) -> None:
    await pool.execute(NO_JSON.format("channel_log", "body"))
    answer = await syncs({"store:12": 1, "store:13": 1, "table:12/5": 3})
    found = answer["channels"]["store:12"]
    assert (found["reset"], found["snapshot"]["head"]) == ("retention", 3)
    assert sorted(order["note"] for order in found["snapshot"]["orders"]) == ["", "", BROKEN]
    assert [event["seq"] for event in answer["channels"]["store:13"]["events"]] == [2]
    assert answer["stream"] is not None
    assert dict(syncs.told) == {("store:12", "event"): 1}


async def test_a_channel_with_an_order_that_is_no_json_is_left_out_and_no_other(
    pool: Pool, syncs: Syncs
) -> None:
    await pool.execute(NO_JSON.format("orders", "owner_view"))
    answer = await syncs({"store:12": None, "store:13": None, "table:12/5": None})
    assert sorted(answer["channels"]) == ["store:13", "table:12/5"]
    assert len(answer["channels"]["table:12/5"]["snapshot"]["orders"]) == 3
    assert answer["stream"] is None, "no ticket proves what was left out"
    assert dict(syncs.told) == {("store:12", "channel"): 1}


async def test_an_event_and_an_order_that_are_no_json_leave_the_channel_out(
    pool: Pool, syncs: Syncs
) -> None:
    await pool.execute(NO_JSON.format("channel_log", "body"))
    await pool.execute(NO_JSON.format("orders", "owner_view"))
    answer = await syncs({"store:12": 0, "store:13": 0})
    assert sorted(answer["channels"]) == ["store:13"]
    with pytest.raises(UnreadableRowError):
        await syncs({"store:12": 0})


async def test_an_event_that_is_no_json_and_orders_that_cannot_be_given_leave_the_channel_out(
    pool: Pool, syncs: Syncs
) -> None:
    await pool.execute(NO_JSON.format("channel_log", "body"))
    await damage(pool, ORDERS)
    answer = await syncs({"store:12": 0, "store:13": 0})
    assert sorted(answer["channels"]) == ["store:13"]
    assert dict(syncs.told) == {("store:12", "event"): 1, ("store:12", "channel"): 1}


async def test_a_page_of_a_snapshot_that_is_no_json_is_no_answer(pool: Pool, syncs: Syncs) -> None:
    await pool.execute(NO_JSON.format("orders", "owner_view"))
    with pytest.raises(UnreadableRowError):
        await syncs({"store:12": None}, orders=2)


async def test_a_counter_row_that_cannot_be_given_wakes_nobody_and_keeps_nobody_asleep(
    pool: Pool, syncs: Syncs
) -> None:
    await damage(pool, HEADS)
    known = {"store:12": 0, "store:13": 1, "table:13/5": 99}
    assert await read_moved(pool, known) == ["store:13"]
