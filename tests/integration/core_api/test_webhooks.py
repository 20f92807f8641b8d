"""Webhooks over a real Postgres: nothing is lost, each store comes in order, and nobody delays
another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from prometheus_client import Gauge
from standardwebhooks.webhooks import Webhook as Verifier

from client_sdk.contract.limits import MAX_ORDER_BYTES
from core_api.access.callers import Caller
from core_api.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyWebhooksError,
    UnavailableError,
)
from core_api.orders.lifecycle import NewItem, PlaceOrder
from core_api.postgres import take_around_damage
from core_api.postgres.pool import Pool, open_pool
from core_api.webhooks import lanes as lanes_module
from core_api.webhooks import registrations, taking
from core_api.webhooks import sender as sender_module
from core_api.webhooks.lanes import read_page, set_aside, take_lanes
from core_api.webhooks.messages import GAP, LogPage
from core_api.webhooks.metrics import WebhookMetrics
from core_api.webhooks.registrations import read_standing
from core_api.webhooks.subscriptions import AddWebhook, Lane
from server_common.limits import WEBHOOK_EVENTS_READ, WEBHOOKS_AT_ONCE_EACH
from tests.integration.core_api import damaged_rows
from tests.integration.core_api.webhook_parts import Shop, new_store, sending
from tests.webhook_receiver import OK, Received, Receiver, status

pytestmark = pytest.mark.xdist_group("webhooks")

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def shop(shared_database: str) -> AsyncIterator[Shop]:
    pool = await open_pool(shared_database, size=8, command_timeout_s=10, name="test")
    yield Shop(pool)
    await pool.execute("DELETE FROM webhooks")
    pool.terminate()


def refusing(seq: int, code: int = 422) -> Any:
    """A receiver's rule: it refuses one event and takes all others."""
    return lambda received: status(code) if received.seq == seq else OK


async def lanes_of(shop: Shop, webhook_id: str) -> list[Lane]:
    lanes = (await shop.webhooks.get(webhook_id)).lanes
    assert isinstance(lanes, list)
    return lanes


async def once(holds: Callable[[], bool]) -> None:
    """Return once this holds of what a sender says."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  (the sender tells nobody)
            await asyncio.sleep(0.02)


def value_of(gauge: Gauge) -> float:
    (metric,) = gauge.collect()
    return metric.samples[0].value


def stores_left_out(metrics: WebhookMetrics) -> float:
    """How many stores a sender says that it leaves out because of damage."""
    return value_of(metrics.unreadable)


async def lanes_once(
    shop: Shop, webhook_id: str, enough: Callable[[list[Lane]], bool]
) -> list[Lane]:
    """The webhook's lanes, once `enough` holds of them."""
    async with asyncio.timeout(60):
        while True:
            lanes = await lanes_of(shop, webhook_id)
            if enough(lanes):
                return lanes
            await asyncio.sleep(0.02)


async def eventually(shop: Shop, webhook_id: str, state: str) -> Lane:
    """A lane of the webhook, once all are in this state."""
    lanes = await lanes_once(
        shop, webhook_id, lambda found: {lane.state for lane in found} == {state}
    )
    return lanes[0]


async def test_the_largest_orders_arrive_whole_and_one_by_one(shop: Shop) -> None:
    store = new_store()
    items = [NewItem("n", 1, 1, "x" * 500)] * 104
    order = PlaceOrder(store, "KRW", items)
    assert MAX_ORDER_BYTES - 4096 < len(msgspec.json.encode(order)) < MAX_ORDER_BYTES
    owner = Caller(f"owner-{store}", "owner", frozenset({store}))
    async with Receiver() as receiver, sending(shop.pool):
        await shop.add(receiver, store)
        for _ in range(3):
            await shop.orders.place(owner, order)
        await receiver.until(lambda r: len(r.taken) >= 3)
    assert [one.seq for one in receiver.taken] == [1, 2, 3]
    assert {len(one.body["data"]["data"]["items"]) for one in receiver.taken} == {len(items)}


async def test_orders_arrive_in_order_and_verified_from_the_registration_on(shop: Shop) -> None:
    store = new_store()
    await shop.place(store)
    async with Receiver() as receiver, sending(shop.pool):
        await shop.add(receiver, store)
        await shop.place(store, 20)
        await receiver.until(lambda r: len(r.taken) >= 20)
    assert [one.seq for one in receiver.taken] == list(range(2, 22))
    first = receiver.taken[0].body
    assert first["type"] == "order.placed"
    assert first["data"]["id"] == f"store:{store}@2"
    assert first["data"]["data"]["items"][0]["name"] == "김밥"


async def test_only_the_types_that_are_wanted_are_sent(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.webhooks.add(AddWebhook(receiver.url, [store], ["order.paid"]), "ann")
        await shop.place(store, 20)
        await lanes_once(shop, made.webhook.id, lambda lanes: lanes[0].seq == 20)
    assert receiver.requests == []


@pytest.mark.parametrize("code", [500, 503, 404, 302])
async def test_a_receiver_that_fails_gets_all_in_order_once_it_works_again(
    shop: Shop, code: int
) -> None:
    store = new_store()
    async with Receiver(lambda _: status(code)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 5)
        await receiver.until(lambda r: len(r.requests) >= 1)
        receiver.answer = lambda _: OK
        await shop.make_due(made.webhook.id)
        await receiver.until(lambda r: len(r.taken) >= 5)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3, 4, 5]
    assert receiver.requests[0].id == receiver.taken[0].id


async def test_a_receiver_that_was_not_there_gets_all_once_it_is(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await receiver.stop()
        await shop.place(store, 3)
        lane = await eventually(shop, made.webhook.id, "late")
        assert "cannot be reached" in str(lane.failure)
        await receiver.start()
        await shop.make_due(made.webhook.id)
        await receiver.until(lambda r: len(r.taken) >= 3)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3]


async def test_a_receiver_that_hangs_delays_no_other(shop: Shop) -> None:
    stores = [new_store() for _ in range(8)]
    async with (
        Receiver(lambda _: None) as hanging,
        Receiver() as receiver,
        sending(shop.pool, answer_within_s=300.0),
    ):
        await shop.add(hanging, *stores)
        await shop.add(receiver, *stores)
        for store in stores:
            await shop.place(store, 2)
        await hanging.until(lambda r: len(r.requests) >= 1)
        await receiver.until(lambda r: len(r.taken) >= 16)
        assert hanging.taken == []


async def test_a_subscription_has_only_so_many_requests_under_way(shop: Shop) -> None:
    stores = [new_store() for _ in range(8)]
    async with (
        Receiver(lambda _: None) as hanging,
        Receiver() as receiver,
        sending(shop.pool, answer_within_s=300.0),
    ):
        await shop.add(hanging, *stores)
        await shop.add(receiver, *stores)
        for _ in range(3):
            for store in stores:
                await shop.place(store)
            await receiver.until(lambda r: len(r.taken) % 8 == 0 and r.taken != [])
        await receiver.until(lambda r: len(r.taken) >= 24)
        assert len(hanging.requests) == 4


async def test_a_receiver_that_does_not_answer_in_time_has_failed(shop: Shop) -> None:
    store = new_store()
    async with (
        Receiver(lambda _: None) as hanging,
        sending(shop.pool, answer_within_s=0.2),
    ):
        made = await shop.add(hanging, store)
        await shop.place(store)
        lane = await eventually(shop, made.webhook.id, "late")
    assert lane.failure == "it did not answer within 0.2 s"


async def test_a_store_that_is_refused_delays_no_other_of_its_subscription(shop: Shop) -> None:
    bad, good = new_store(), new_store()

    def answer(received: Received) -> str:
        return status(500) if received.channel == f"store:{bad}" else OK

    async with Receiver(answer) as receiver, sending(shop.pool):
        await shop.add(receiver, bad, good)
        await shop.place(bad, 2)
        await shop.place(good, 9)
        await receiver.until(lambda r: len(r.seqs(f"store:{good}")) == 9)
    assert receiver.seqs(f"store:{bad}") == []


async def test_an_event_that_is_refused_for_an_hour_is_set_aside_if_the_next_is_taken(
    shop: Shop,
) -> None:
    store = new_store()
    async with Receiver(refusing(2)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 4)
        await eventually(shop, made.webhook.id, "late")
        await shop.make_due(made.webhook.id, "2 hours")
        await receiver.until(lambda r: len(r.taken) >= 3)
        await eventually(shop, made.webhook.id, "current")
    assert receiver.seqs(f"store:{store}") == [1, 3, 4]
    found = await shop.webhooks.get(made.webhook.id)
    assert isinstance(found.events_set_aside, list)
    assert [(one.event, one.failure) for one in found.events_set_aside] == [
        (f"store:{store}@2", "it answered 422")
    ]
    assert (await read_standing(shop.pool)).set_aside == 1


async def test_an_event_that_was_set_aside_once_is_set_aside_again(shop: Shop) -> None:
    store = new_store()
    async with Receiver(refusing(1)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 2)
        await eventually(shop, made.webhook.id, "late")
        await shop.pool.execute(
            "INSERT INTO webhook_set_aside (webhook_id, store_id, epoch, seq, failure) "
            "SELECT $1, $2, epoch, 1, 'before' FROM epoch",
            made.webhook.id,
            store,
        )
        await shop.make_due(made.webhook.id, "2 hours")
        lane = await eventually(shop, made.webhook.id, "current")
    assert lane.seq == 2


async def test_what_is_not_passed_over_is_not_set_aside(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
    await shop.place(store, 2)
    (lane,) = await take_lanes(shop.pool, {}, 10, failing=False)
    await shop.webhooks.set_state(made.webhook.id, "disabled", is_ops=True)
    assert not await set_aside(shop.pool, lane, lane.epoch, 1, "refused", 2)
    found = await shop.webhooks.get(made.webhook.id)
    assert (found.set_aside, [one.seq for one in await lanes_of(shop, found.id)]) == (0, [0])


async def test_before_an_hour_no_event_is_set_aside(shop: Shop) -> None:
    store = new_store()
    async with Receiver(refusing(1)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 2)
        await eventually(shop, made.webhook.id, "late")
        await shop.make_due(made.webhook.id, "59 minutes")
        await receiver.until(lambda r: len(r.requests) >= 2)
    assert receiver.taken == []


async def test_a_receiver_that_refuses_everything_has_nothing_set_aside(shop: Shop) -> None:
    store = new_store()
    async with Receiver(lambda _: status(401)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 3)
        await eventually(shop, made.webhook.id, "late")
        await shop.make_due(made.webhook.id, "2 hours")
        await receiver.until(lambda r: {one.seq for one in r.requests} == {1, 2})
        receiver.answer = lambda _: OK
        await shop.make_due(made.webhook.id, "2 hours")
        await receiver.until(lambda r: len(r.taken) >= 3)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3]
    assert (await shop.webhooks.get(made.webhook.id)).set_aside == 0


async def test_after_three_days_a_store_is_parked_and_resumed_where_it_was(shop: Shop) -> None:
    store = new_store()
    async with Receiver(lambda _: status(503)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 2)
        await eventually(shop, made.webhook.id, "late")
        await shop.make_due(made.webhook.id, "3 days")
        await eventually(shop, made.webhook.id, "parked")
        assert (await read_standing(shop.pool)).parked == 1
        receiver.answer = lambda _: OK
        await shop.make_due(made.webhook.id)
        await shop.place(store)
        assert receiver.taken == []
        await shop.webhooks.set_state(made.webhook.id, "active", is_ops=False)
        await receiver.until(lambda r: len(r.taken) >= 3)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3]


async def test_a_receiver_that_is_gone_ends_its_webhook_until_somebody_resumes_it(
    shop: Shop,
) -> None:
    store = new_store()
    async with Receiver(lambda _: status(410)) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store)
        await eventually(shop, made.webhook.id, "late")
        assert (await shop.webhooks.get(made.webhook.id)).state == "ended"
        receiver.answer = lambda _: OK
        await shop.webhooks.set_state(made.webhook.id, "active", is_ops=False)
        await receiver.until(lambda r: len(r.taken) >= 1)


async def test_retry_after_is_obeyed(shop: Shop) -> None:
    store = new_store()
    async with (
        Receiver(lambda _: status(429, Retry_After="1800")) as receiver,
        sending(shop.pool),
    ):
        made = await shop.add(receiver, store)
        await shop.place(store)
        lane = await eventually(shop, made.webhook.id, "late")
    assert lane.next_try_at is not None
    assert lane.failing_since is not None
    assert (lane.next_try_at - lane.failing_since).total_seconds() == pytest.approx(1800, abs=1)


async def test_once_a_receiver_is_back_all_its_stores_are_tried_at_once(shop: Shop) -> None:
    stores = [new_store(), new_store()]
    async with (
        Receiver(lambda _: status(429, Retry_After="3600")) as receiver,
        sending(shop.pool),
    ):
        made = await shop.add(receiver, *stores)
        for store in stores:
            await shop.place(store)
        await receiver.until(lambda r: len({one.channel for one in r.requests}) == 2)
        await eventually(shop, made.webhook.id, "late")
        receiver.answer = lambda _: OK
        await shop.pool.execute(
            "UPDATE webhook_lanes SET due_at = now() WHERE store_id = $1", stores[0]
        )
        await receiver.until(lambda r: len(r.taken) == 2)


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        rotated = await shop.webhooks.rotate(made.webhook.id)
        assert rotated.secret != made.secret
        await shop.place(store)
        await receiver.until(lambda r: len(r.taken) == 1)
        Verifier(rotated.secret).verify(receiver.taken[0].text, receiver.taken[0].headers)
        await shop.until_free(made.webhook.id)
        await shop.pool.execute("UPDATE webhook_old_secrets SET until = now()")
        receiver.secret = rotated.secret
        await shop.place(store)
        await receiver.until(lambda r: len(r.taken) == 2)
    assert len(receiver.taken[0].headers["webhook-signature"].split()) == 2
    assert len(receiver.taken[1].headers["webhook-signature"].split()) == 1


async def signatures(shop: Shop, receiver: Receiver, webhook_id: str, store: str) -> list[str]:
    """The signatures of the next event of a store."""
    await shop.until_free(webhook_id)
    before = len(receiver.requests)
    await shop.place(store)
    await receiver.until(lambda r: len(r.requests) > before)
    return str(receiver.requests[before].headers["webhook-signature"]).split()


async def test_who_still_has_the_first_secret_can_verify_after_a_second_rotation(
    shop: Shop,
) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        for _ in range(2):
            await shop.webhooks.rotate(made.webhook.id)
        assert len(await signatures(shop, receiver, made.webhook.id, store)) == 3
        await receiver.until(lambda r: len(r.taken) == 1)


async def test_at_most_three_secrets_before_sign_and_the_oldest_ends_first(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        second = await shop.webhooks.rotate(made.webhook.id)
        for _ in range(3):
            await shop.webhooks.rotate(made.webhook.id)
        receiver.secret = second.secret
        assert len(await signatures(shop, receiver, made.webhook.id, store)) == 4
        await receiver.until(lambda r: len(r.taken) == 1)


async def test_a_secret_that_has_leaked_is_ended_at_once(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.webhooks.rotate(made.webhook.id)
        last = await shop.webhooks.rotate(made.webhook.id, ends_old=True)
        assert last.webhook.old_secret_until is None
        receiver.secret = last.secret
        assert len(await signatures(shop, receiver, made.webhook.id, store)) == 1
        await receiver.until(lambda r: len(r.taken) == 1)


async def test_an_old_secret_whose_key_was_taken_away_keeps_nothing_from_being_sent(
    shop: Shop,
) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.pool.execute("UPDATE webhooks SET kid = 'gone' WHERE id = $1", made.webhook.id)
        receiver.secret = (await shop.webhooks.rotate(made.webhook.id)).secret
        assert len(await signatures(shop, receiver, made.webhook.id, store)) == 1
        await receiver.until(lambda r: len(r.taken) == 1)


async def test_nothing_is_sent_from_a_database_that_moved_until_a_relay_has_judged_it(
    shop: Shop,
) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store)
        born_in = await shop.pool.fetchval("SELECT born_in FROM epoch")
        await shop.pool.execute("UPDATE epoch SET born_in = '1/1/1'")
        async with sending(shop.pool) as (sender, _):
            await once(lambda: "no relay has checked it yet" in (sender.trouble or ""))
            assert receiver.requests == []
            await shop.pool.execute("UPDATE epoch SET born_in = $1", born_in)
            await receiver.until(lambda r: len(r.taken) == 1)
            await once(lambda: sender.trouble is None)


async def test_what_another_database_has_behind_the_place_of_a_lane_is_not_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    async def read(pool: Pool, lane: lanes_module.HeldLane, seq: int) -> LogPage:
        nonlocal reads
        reads += 1
        if reads == 2:
            await pool.execute("UPDATE epoch SET born_in = '1/1/1'")
        return await read_page(pool, lane, seq)

    monkeypatch.setattr(sender_module, "read_page", read)
    store = new_store()
    born_in = await shop.pool.fetchval("SELECT born_in FROM epoch")
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store, WEBHOOK_EVENTS_READ + 1)
        try:
            async with sending(shop.pool) as (_, metrics):
                await once(lambda: reads >= 2 and value_of(metrics.under_way) == 0)
        finally:
            await shop.pool.execute("UPDATE epoch SET born_in = $1", born_in)
    assert [one.seq for one in receiver.requests] == list(range(1, WEBHOOK_EVENTS_READ + 1))


async def test_a_replay_sends_again_what_comes_behind_a_cursor(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 5)
        await receiver.until(lambda r: len(r.taken) == 5)
        await shop.webhooks.replay(made.webhook.id, f"store:{store}@3")
        await receiver.until(lambda r: len(r.taken) == 7)
    assert [one.seq for one in receiver.taken] == [1, 2, 3, 4, 5, 4, 5]
    assert receiver.taken[5].id == receiver.taken[3].id


async def test_what_is_under_way_during_a_replay_does_not_move_the_place_on(shop: Shop) -> None:
    store = new_store()
    async with Receiver(lambda _: None) as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.place(store, 3)
        await receiver.until(lambda r: len(r.requests) == 1)
        receiver.answer = lambda _: OK
        await shop.webhooks.replay(made.webhook.id, f"store:{store}@0")
        await receiver.until(lambda r: len(r.taken) >= 3)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3]


async def test_a_replay_leaves_out_nothing_that_was_not_sent_yet(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store, 5)
        await shop.webhooks.replay(made.webhook.id, f"store:{store}@4")
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) >= 5)
    assert receiver.seqs(f"store:{store}") == [1, 2, 3, 4, 5]


async def test_a_replay_after_a_restore_still_tells_of_the_new_epoch(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store, 2)
        await shop.pool.execute("UPDATE epoch SET epoch = 'Z' || epoch")
        await shop.webhooks.replay(made.webhook.id, f"store:{store}@0")
        async with sending(shop.pool):
            await receiver.until(lambda r: r.seqs(f"store:{store}")[-1:] == [2])
    assert [one.body["type"] for one in receiver.taken] == [GAP, "order.placed", "order.placed"]


@pytest.mark.parametrize(
    ("cursor", "error"),
    [
        ("store:{store}@9", InvalidError),
        ("store:elsewhere@0", InvalidError),
        ("table:{store}/5@0", InvalidError),
        ("store:{store}@x", BadRequestError),
    ],
)
async def test_a_replay_of_what_the_log_has_not_is_refused(
    shop: Shop, cursor: str, error: type[Exception]
) -> None:
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store, 2)
        with pytest.raises(error):
            await shop.webhooks.replay(made.webhook.id, cursor.replace("{store}", store))


async def test_what_the_log_no_longer_has_is_told_before_what_follows(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store, 4)
        await shop.pool.execute(
            "DELETE FROM channel_log WHERE channel = $1 AND seq <= 2", f"store:{store}"
        )
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 3)
    assert [one.body["type"] for one in receiver.taken] == [GAP, "order.placed", "order.placed"]
    assert receiver.taken[0].body["data"]["reason"] == "retention"
    assert [one.seq for one in receiver.taken] == [2, 3, 4]


async def test_a_store_of_which_the_log_has_nothing_any_more_is_told_of_once(shop: Shop) -> None:
    store, other = new_store(), new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store, other)
        await shop.place(store, 4)
        await shop.pool.execute("DELETE FROM channel_log WHERE channel = $1", f"store:{store}")
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 1)
            await lanes_once(
                shop, made.webhook.id, lambda found: sorted(one.seq for one in found) == [0, 4]
            )
            await shop.place(other)
            await receiver.until(lambda r: len(r.taken) >= 2)
    gap, event = receiver.taken
    assert (gap.body["type"], gap.seq, event.channel) == (GAP, 4, f"store:{other}")


async def test_what_is_read_at_once_is_bounded_in_bytes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "WEBHOOK_READ_BYTES", 1)
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
    await shop.place(store, 3)
    (lane,) = await take_lanes(shop.pool, {}, 10, failing=False)
    assert [row.seq for row in (await read_page(shop.pool, lane, 0)).rows] == [1]


@pytest.mark.parametrize(("bound", "value"), [("_PAGES", 1), ("VISIT_S", 0.0)])
async def test_a_store_with_much_to_send_is_not_sent_to_its_end_before_another(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(sender_module, "WEBHOOKS_AT_ONCE", 1)
    monkeypatch.setattr(sender_module, bound, value)
    much, little = new_store(), new_store()
    before: list[int] = []

    def answer(_received: Received) -> str:
        before.append(len(first.taken))
        return OK

    async with Receiver() as first, Receiver(answer) as second:
        await shop.add(first, much)
        await shop.add(second, little)
        await shop.place(much, 20)
        await shop.place(little)
        async with sending(shop.pool):
            await second.until(lambda r: len(r.taken) == 1)
            await first.until(lambda r: len(r.taken) == 20)
    assert before[0] < 20


async def test_what_is_being_taken_when_a_sender_is_told_to_stop_is_sent_before_it_stops(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, going_on = asyncio.Event(), asyncio.Event()

    async def take(*arguments: Any, **named: Any) -> Any:
        found = await take_lanes(*arguments, **named)
        if found:
            taken.set()
            await going_on.wait()
        return found

    monkeypatch.setattr(taking, "take_lanes", take)
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store)
        async with sending(shop.pool) as (sender, _):
            await taken.wait()
            stopped = asyncio.create_task(sender.drain())
            await asyncio.sleep(0)
            going_on.set()
            await stopped
    assert [one.seq for one in await lanes_of(shop, made.webhook.id)] == [1]


@pytest.fixture
async def damaging(shop: Shop) -> Callable[[str, str], Awaitable[None]]:
    """Damages a text of one webhook on the disk: from then on it is no text."""

    async def damage(webhook_id: str, column: str) -> None:
        table, _, name = column.partition(".")
        key = "id" if table == "webhooks" else "webhook_id"
        await damaged_rows.damage(shop.pool, table, name, f"{key} = $1", webhook_id)

    return damage


@pytest.mark.parametrize("column", ["webhooks.url", "webhooks.kid"])
async def test_a_damaged_webhook_stops_no_other(
    shop: Shop, damaging: Callable[[str, str], Awaitable[None]], column: str
) -> None:
    store, *others = [new_store() for _ in range(3)]
    async with Receiver() as damaged, Receiver() as receiver:
        bad = await shop.add(damaged, store)
        await shop.add(receiver, *others)
        await damaging(bad.webhook.id, column)
        for one in (store, *others):
            await shop.place(one, 2)
        async with sending(shop.pool) as (_, metrics):
            await receiver.until(lambda r: len(r.requests) >= 4)
            await once(lambda: stores_left_out(metrics) == 1)
    taken = sorted((one.channel, one.seq) for one in receiver.requests)
    assert taken == sorted((f"store:{one}", seq) for one in others for seq in (1, 2))
    assert damaged.requests == []


async def test_a_damaged_webhook_is_sent_once_it_was_mended(
    shop: Shop,
    damaging: Callable[[str, str], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(take_around_damage, "LOOK_AGAIN_AFTER_S", 0.0)
    store, other = new_store(), new_store()
    async with Receiver() as damaged, Receiver() as receiver:
        bad = await shop.add(damaged, store)
        await shop.add(receiver, other)
        await damaging(bad.webhook.id, "webhooks.url")
        await shop.place(store)
        await shop.place(other)
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 1)
            assert damaged.requests == []
            await shop.pool.execute(
                "UPDATE webhooks SET url = $2 WHERE id = $1", bad.webhook.id, damaged.url
            )
            await damaged.until(lambda r: len(r.taken) == 1)


async def test_a_store_whose_name_is_damaged_stops_no_other_beside_a_damaged_webhook(
    shop: Shop, damaging: Callable[[str, str], Awaitable[None]]
) -> None:
    store, unnamed, other = [new_store() for _ in range(3)]
    async with Receiver() as damaged, Receiver() as receiver:
        bad = await shop.add(damaged, store)
        worse = await shop.add(damaged, unnamed)
        await shop.add(receiver, other)
        await damaging(bad.webhook.id, "webhooks.url")
        await damaging(worse.webhook.id, "webhook_lanes.store_id")
        for one in (store, other):
            await shop.place(one)
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 1)


async def taker_beside_damage(
    shop: Shop, damaging: Callable[[str, str], Awaitable[None]], stores: int
) -> tuple[taking.Taker, str]:
    """Who takes the lanes of a webhook of so many stores, and of a damaged one; and its name."""
    of_good, of_bad = [new_store() for _ in range(stores)], new_store()
    async with Receiver() as receiver:
        good = await shop.add(receiver, *of_good)
        bad = await shop.add(receiver, of_bad)
    for one in (*of_good, of_bad):
        await shop.place(one)
    await damaging(bad.webhook.id, "webhooks.url")
    return taking.Taker(shop.pool, lambda: 0.0), good.webhook.id


async def test_a_webhook_has_no_more_than_its_requests_at_once_beside_a_damaged_one(
    shop: Shop, damaging: Callable[[str, str], Awaitable[None]]
) -> None:
    taker, good = await taker_beside_damage(shop, damaging, 4 * WEBHOOKS_AT_ONCE_EACH)
    taken = await taker.take({good: 1}, 100, failing=False)
    assert [lane.webhook_id for lane in taken] == [good] * (WEBHOOKS_AT_ONCE_EACH - 1)


async def test_what_was_taken_before_the_database_failed_is_sent(
    shop: Shop,
    damaging: Callable[[str, str], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taker, good = await taker_beside_damage(shop, damaging, 2)
    has_taken = False

    async def take(*arguments: Any, **more: Any) -> list[lanes_module.HeldLane]:
        nonlocal has_taken
        if has_taken:
            raise UnavailableError("it is gone")
        found = await take_lanes(*arguments, **more)
        has_taken = True
        return found

    monkeypatch.setattr(taking, "take_lanes", take)
    taken = await taker.take({}, 100, failing=False)
    assert {lane.webhook_id for lane in taken} == {good}


async def test_a_list_of_webhooks_leaves_out_a_damaged_one(
    shop: Shop, damaging: Callable[[str, str], Awaitable[None]]
) -> None:
    async with Receiver() as receiver:
        bad, *good = [await shop.add(receiver, new_store()) for _ in range(3)]
    await damaging(bad.webhook.id, "webhooks.url")
    listed = await shop.webhooks.list(None)
    assert [one.id for one in listed] == [one.webhook.id for one in good]


async def test_a_damaged_event_is_told_of_and_stops_no_other(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store, 3)
        await shop.pool.execute(
            "UPDATE channel_log SET body = 'x' WHERE channel = $1 AND seq = 2", f"store:{store}"
        )
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 3)
    assert [one.seq for one in receiver.taken] == [1, 2, 3]
    assert receiver.taken[1].body["data"]["reason"] == "unreadable"


async def test_a_new_epoch_is_told(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        await shop.add(receiver, store)
        await shop.place(store)
        await receiver.until(lambda r: len(r.taken) == 1)
        await shop.pool.execute("UPDATE epoch SET epoch = 'Z' || epoch")
        await shop.place(store)
        await receiver.until(lambda r: len(r.taken) == 3)
    gap, event = receiver.taken[1:]
    assert gap.body["data"]["reason"] == "epoch"
    assert gap.body["epoch"] == event.body["epoch"] != receiver.taken[0].body["epoch"]


async def test_a_new_epoch_is_told_of_a_store_in_which_nothing_happens(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        await shop.add(receiver, store)
        await shop.place(store)
        await receiver.until(lambda r: len(r.taken) == 1)
        await shop.pool.execute("UPDATE epoch SET epoch = 'Z' || epoch")
        await receiver.until(lambda r: len(r.taken) == 2)
    assert receiver.taken[1].body["data"]["reason"] == "epoch"


async def test_senders_side_by_side_send_each_event_once(shop: Shop) -> None:
    stores = [new_store() for _ in range(6)]
    async with Receiver() as receiver, sending(shop.pool), sending(shop.pool):
        await shop.add(receiver, *stores)
        await asyncio.gather(*(shop.place(store, 10) for store in stores))
        await receiver.until(lambda r: len(r.taken) >= 60)
    assert len({one.id for one in receiver.taken}) == len(receiver.taken) == 60
    for store in stores:
        assert receiver.seqs(f"store:{store}") == list(range(1, 11))


async def test_what_a_dead_sender_held_is_sent_again_and_nothing_is_left_out(shop: Shop) -> None:
    store = new_store()
    async with Receiver(lambda received: None if received.seq == 3 else OK) as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store, 5)
        async with sending(shop.pool, answer_within_s=300.0):
            await receiver.until(lambda r: len(r.requests) == 3)
        receiver.answer = lambda _: OK
        await shop.pool.execute(
            "UPDATE webhook_lanes SET held_until = now() WHERE webhook_id = $1", made.webhook.id
        )
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 5)
    assert [one.seq for one in receiver.requests] == [1, 2, 3, 3, 4, 5]
    assert receiver.requests[2].id == receiver.requests[3].id


@pytest.mark.parametrize("tries", [0, 3])
async def test_a_clock_that_was_set_back_keeps_no_store_waiting(shop: Shop, tries: int) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store)
        await shop.pool.execute(
            "UPDATE webhook_lanes SET held_until = now() + interval '1 day', "
            "due_at = now() + interval '1 day', tries = $1",
            tries,
        )
        async with sending(shop.pool):
            await receiver.until(lambda r: len(r.taken) == 1)


async def test_ops_disable_a_webhook_and_only_they_resume_it(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver, sending(shop.pool):
        made = await shop.add(receiver, store)
        await shop.webhooks.set_state(made.webhook.id, "disabled", is_ops=True)
        await shop.place(store, 2)
        with pytest.raises(ForbiddenError):
            await shop.webhooks.set_state(made.webhook.id, "active", is_ops=False)
        assert receiver.requests == []
        await shop.webhooks.set_state(made.webhook.id, "active", is_ops=True)
        await receiver.until(lambda r: len(r.taken) == 2)


async def test_a_removed_webhook_is_gone_with_all_that_belongs_to_it(shop: Shop) -> None:
    async with Receiver() as receiver:
        made = await shop.add(receiver, new_store())
    await shop.webhooks.remove(made.webhook.id)
    with pytest.raises(NotFoundError):
        await shop.webhooks.get(made.webhook.id)
    assert await shop.pool.fetchval("SELECT count(*) FROM webhook_lanes") == 0


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("WEBHOOKS", "in all"),
        ("WEBHOOKS_OF_STORE", "of one of these stores"),
        ("WEBHOOKS_OF_SUBJECT", "subject"),
        ("WEBHOOK_LANES", "together"),
    ],
)
async def test_there_are_only_so_many(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, limit: str, told: str
) -> None:
    monkeypatch.setattr(registrations, limit, 2)
    store = new_store()
    wanted = AddWebhook("https://example.com/", [store])
    for _ in range(2):
        await shop.webhooks.add(wanted, "ann")
    with pytest.raises(TooManyWebhooksError, match=told):
        await shop.webhooks.add(wanted, "ann")


async def test_a_store_is_named_once(shop: Shop) -> None:
    with pytest.raises(InvalidError, match="twice"):
        await shop.webhooks.add(AddWebhook("https://example.com/", ["1", "1"]), "ann")


async def test_what_waits_though_its_receiver_works_is_seen(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store)
    await shop.pool.execute("UPDATE channel_log SET occurred_at = $1", LONG_AGO)
    await shop.pool.execute("UPDATE webhook_lanes SET due_at = $1", LONG_AGO)
    standing = await read_standing(shop.pool)
    assert standing.active == 1
    assert standing.waiting_s > 86_400


async def test_what_is_replayed_waits_only_since_its_replay(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        made = await shop.add(receiver, store)
        await shop.place(store)
    await shop.pool.execute("UPDATE channel_log SET occurred_at = $1", LONG_AGO)
    await shop.webhooks.replay(made.webhook.id, f"store:{store}@0")
    assert (await read_standing(shop.pool)).waiting_s < 3600


async def test_a_store_in_which_nothing_happens_does_not_wait(shop: Shop) -> None:
    async with Receiver() as receiver:
        await shop.add(receiver, new_store())
    await shop.pool.execute("UPDATE webhook_lanes SET due_at = $1", LONG_AGO)
    assert (await read_standing(shop.pool)).waiting_s == 0


async def test_what_is_being_sent_does_not_wait(shop: Shop) -> None:
    store = new_store()
    async with Receiver() as receiver:
        await shop.add(receiver, store)
        await shop.place(store)
    await shop.pool.execute("UPDATE channel_log SET occurred_at = $1", LONG_AGO)
    await shop.pool.execute("UPDATE webhook_lanes SET due_at = $1", LONG_AGO)
    assert len(await take_lanes(shop.pool, {}, 10, failing=False)) == 1
    assert (await read_standing(shop.pool)).waiting_s == 0
