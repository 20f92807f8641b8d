"""Fetch Sync over HTTP: what follows the cursor exactly, or a reset and a snapshot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import msgspec
import pytest

from client_sdk.contract.digest import format_digest, order_hash
from client_sdk.contract.sync import SyncResponse, decode_sync
from core_api.postgres.pool import open_pool
from core_api.retention.log_trim import trim_log
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def place(core: CoreService, store: str, count: int = 1, **more: Any) -> list[str]:
    """Place orders one after the other; their ids."""
    ids = []
    for _ in range(count):
        response = await core.client.post(
            "/v1/orders", json=an_order(store, **more), headers=bearer(token("owner", store))
        )
        ids.append(response.json()["id"])
    return ids


async def sync(core: CoreService, store: str, **parameters: Any) -> SyncResponse:
    parameters = {"channel": f"store:{store}"} | parameters
    response = await core.client.get(
        "/v1/sync", params=parameters, headers=bearer(token("owner", store, new_name(store)))
    )
    assert response.status_code == 200, response.text
    return decode_sync(response.content)


def new_name(store: str) -> str:
    """A second store of the same owner."""
    return f"{store}-b"


async def test_the_first_sync_of_a_store_without_orders_is_empty(core: CoreService) -> None:
    answer = (await sync(core, new_store())).channels[0]
    assert (answer.reset, answer.head) == ("first_sync", 0)
    assert answer.snapshot is not None
    assert answer.snapshot.orders == []


async def test_the_first_sync_shows_the_open_orders_and_the_head(core: CoreService) -> None:
    store = new_store()
    first, second = await place(core, store, 2)
    await core.client.post(
        f"/v1/orders/{first}/transitions",
        json={"to": "rejected", "reason": "closed"},
        headers=bearer(token("owner", store)),
    )
    response = await sync(core, store)
    answer = response.channels[0]
    assert answer.snapshot is not None
    assert [order.id for order in answer.snapshot.orders] == [second]
    assert (answer.snapshot.head, response.cursor) == (3, f"store:{store}@3")


async def test_events_go_on_exactly_after_the_cursor(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 5)
    answer = (await sync(core, store, lastEventId="2")).channels[0]
    assert [event.seq for event in answer.events] == [3, 4, 5]
    assert answer.reset is None
    assert answer.events[0].id == f"store:{store}@3"


@pytest.mark.parametrize("form", ["2", "store:{store}@2"])
async def test_each_form_of_last_event_id_means_the_same(core: CoreService, form: str) -> None:
    store = new_store()
    await place(core, store, 3)
    answer = (await sync(core, store, lastEventId=form.format(store=store))).channels[0]
    assert [event.seq for event in answer.events] == [3]


async def test_pages_follow_each_other_until_nothing_is_left(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 5)
    seen, cursor, pages = [], "0", 0
    while True:
        response = await sync(core, store, lastEventId=cursor, limit=2)
        seen += [event.seq for event in response.channels[0].events]
        cursor, pages = response.cursor, pages + 1
        assert (response.stream is None) == response.has_more
        if not response.has_more:
            break
    assert (seen, pages) == ([1, 2, 3, 4, 5], 3)


async def test_the_digest_is_that_of_the_open_orders(core: CoreService) -> None:
    store = new_store()
    one, two, _ = await place(core, store, 3)
    for order_id, to in ((one, "rejected"), (two, "accepted")):
        await core.client.post(
            f"/v1/orders/{order_id}/transitions",
            json={"to": to},
            headers=bearer(token("owner", store)),
        )
    answer = (await sync(core, store)).channels[0]
    assert answer.snapshot is not None
    expected = 0
    for order in answer.snapshot.orders:
        expected ^= order_hash(order.id, order.version)
    assert answer.digest == format_digest(expected)


async def test_a_cursor_of_another_epoch_gets_a_reset(core: CoreService) -> None:
    store = new_store()
    await place(core, store)
    answer = (await sync(core, store, lastEventId="1", epoch="0" * 26)).channels[0]
    assert answer.reset == "epoch"
    assert answer.snapshot is not None


async def test_a_cursor_beyond_the_head_gets_a_reset(core: CoreService) -> None:
    store = new_store()
    await place(core, store)
    assert (await sync(core, store, lastEventId="2")).channels[0].reset == "ahead"


async def test_a_cursor_below_what_is_kept_gets_a_reset_and_one_at_it_does_not(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    await place(core, store, 4)
    channel = f"store:{store}"
    await db.execute("DELETE FROM outbox WHERE store_id = $1", store)
    await db.execute(
        "UPDATE channel_log SET occurred_at = now() - interval '9 days'"
        " WHERE channel = $1 AND seq <= 2",
        channel,
    )
    pool = await open_pool(core.database, size=2, command_timeout_s=10, name="trim")
    await db.execute("DELETE FROM outbox")
    assert (await trim_log(pool, 8 * 86_400.0, 100))[0] >= 2
    pool.terminate()
    assert (await sync(core, store, lastEventId="1")).channels[0].reset == "retention"
    kept = (await sync(core, store, lastEventId="2")).channels[0]
    assert [event.seq for event in kept.events] == [3, 4]


async def test_what_the_relay_has_still_to_publish_is_not_forgotten(
    core: CoreService, db: Database
) -> None:
    store = new_store()
    await place(core, store)
    # What other tests have left in the outbox may not look as if it came before this order.
    await db.execute("UPDATE outbox SET committed_after = now() - interval '10 days'")
    await db.execute(
        "UPDATE channel_log SET occurred_at = now() - interval '9 days' WHERE channel = $1",
        f"store:{store}",
    )
    pool = await open_pool(core.database, size=2, command_timeout_s=10, name="trim")
    await trim_log(pool, 8 * 86_400.0, 100)
    pool.terminate()
    kept = (await sync(core, store, lastEventId="0")).channels[0]
    assert [event.seq for event in kept.events] == [1]
    await db.execute("DELETE FROM outbox WHERE store_id = $1", store)


async def test_several_channels_are_answered_at_once(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 3)
    response = await core.client.get(
        "/v1/sync",
        params={
            "channel": [f"store:{store}", f"table:{store}/5", f"table:{store}/6"],
            "lastEventId": f"store:{store}@1,table:{store}/5@2",
        },
        headers=bearer(token("owner", store)),
    )
    answer = decode_sync(response.content)
    by_channel = {channel.channel: channel for channel in answer.channels}
    assert [e.seq for e in by_channel[f"store:{store}"].events] == [2, 3]
    assert [e.seq for e in by_channel[f"table:{store}/5"].events] == [3]
    assert by_channel[f"table:{store}/6"].reset == "first_sync"
    assert answer.cursor == f"store:{store}@3,table:{store}/5@3,table:{store}/6@0"


async def test_a_busy_channel_does_not_starve_a_quiet_one(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 8, table_id=None)
    await place(core, store, 1)
    response = await core.client.post(
        "/v1/sync",
        json={"channels": {f"store:{store}": 0, f"table:{store}/5": 0}, "limit": 4},
        headers=bearer(token("owner", store)),
    )
    busy, quiet = decode_sync(response.content).channels
    assert ([e.seq for e in busy.events], busy.has_more) == ([1, 2], True)
    assert ([e.seq for e in quiet.events], quiet.has_more) == ([1], False)


async def test_the_body_of_a_post_means_what_the_parameters_of_a_get_do(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 2)
    posted = await core.client.post(
        "/v1/sync",
        json={"channels": {f"store:{store}": 1}},
        headers=bearer(token("owner", store)),
    )
    got = await sync(core, store, lastEventId="1")
    assert decode_sync(posted.content).channels == got.channels


async def test_five_hundred_channels_fit_in_one_request(core: CoreService) -> None:
    store = new_store()
    await place(core, store, 1, table_id="499")
    response = await core.client.post(
        "/v1/sync",
        json={"channels": {f"table:{store}/{n}": 0 for n in range(500)}},
        headers=bearer(token("owner", store)),
    )
    answer = decode_sync(response.content)
    assert len(answer.channels) == 500
    assert [c.channel for c in answer.channels if c.events] == [f"table:{store}/499"]
    assert answer.stream is not None


async def test_the_ticket_is_bound_to_the_channels_and_to_where_the_sync_ended(
    core: CoreService,
) -> None:
    store = new_store()
    await place(core, store, 2)
    response = await sync(core, store, lastEventId="1")
    assert response.stream is not None
    server_time = response.server_time.timestamp()
    ticket = core.tickets.verify(response.stream.ticket, server_time)
    assert ticket.cursor == {f"store:{store}": 2}
    assert ticket.epoch == response.epoch
    assert ticket.issued_at == pytest.approx(server_time, abs=0.001)
    assert ticket.expires_at - ticket.issued_at == pytest.approx(response.stream.expires_in)


async def test_a_waiting_sync_is_answered_as_soon_as_something_is_committed(
    core: CoreService,
) -> None:
    store = new_store()
    waiting = asyncio.create_task(sync(core, store, lastEventId="0", wait=20))
    await one_waits(core)
    await place(core, store)
    async with asyncio.timeout(5):
        assert [event.seq for event in (await waiting).channels[0].events] == [1]


async def test_a_waiting_sync_hears_of_a_commit_of_another_core(
    core: CoreService, tmp_path: Path
) -> None:
    store = new_store()
    other = CoreService.start(core.database, tmp_path)
    try:
        waiting = asyncio.create_task(sync(core, store, lastEventId="0", wait=20))
        await one_waits(core)
        await place(other, store)
        async with asyncio.timeout(5):
            assert (await waiting).channels[0].head == 1
    finally:
        await other.client.aclose()
        other.stop()


async def test_a_waiting_sync_is_answered_empty_when_its_time_is_up(core: CoreService) -> None:
    store = new_store()
    answer = (await sync(core, store, lastEventId="0", wait=0.2)).channels[0]
    assert (answer.events, answer.reset) == ([], None)


async def test_the_ticket_of_a_sync_that_waited_counts_from_the_end_of_the_wait(
    core: CoreService,
) -> None:
    store = new_store()
    before = (await sync(core, store, lastEventId="0")).server_time.timestamp()
    response = await sync(core, store, lastEventId="0", wait=0.3)
    assert response.stream is not None
    ticket = core.tickets.verify(response.stream.ticket, response.server_time.timestamp())
    assert ticket.issued_at >= before + 0.3
    assert ticket.expires_at - ticket.issued_at == pytest.approx(response.stream.expires_in)


async def one_waits(core: CoreService) -> None:
    """Return once a sync waits, as Core's own metrics say."""
    metrics = ""
    while "yabam_core_waiting_requests 1.0" not in metrics:
        metrics = (await core.client.get("/metrics", headers=bearer(token("ops")))).text


async def test_a_note_comes_back_exactly_as_it_was_sent(core: CoreService) -> None:
    store = new_store()
    note = 'line\u2028sep\u2029par\u0085nel\nnew\r\nline "quoted" \\ 🍜 \u202e ﷽ <script>\t'
    await place(core, store, note=note)
    response = await sync(core, store, lastEventId="0")
    assert response.channels[0].events[0].data.note == note


def test_the_answer_type_knows_every_key_that_core_sends() -> None:
    """A key that Core adds must be added to the contract too, or no client can see it."""
    from core_api.sync.events_or_reset import _Answer, _Channel

    assert {f.name for f in msgspec.structs.fields(_Answer)} == {
        f.name for f in msgspec.structs.fields(SyncResponse)
    }
    assert "has_more" in {f.name for f in msgspec.structs.fields(_Channel)}
