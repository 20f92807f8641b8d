"""Core's answers to commands name the log that the order's version is of."""

from __future__ import annotations

import pytest

from client_sdk.contract.order import EPOCH_HEADER
from core_api.access.callers import Caller
from core_api.errors import ImpossibleTransitionError, StaleVersionError
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import NewItem, PlaceOrder, Seen, Transition
from core_api.orders.service import OrderService
from core_api.postgres.pool import Pool
from core_api.wiring import new_order_id, utc_now
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token

OWNER = Caller("owner", "owner", frozenset({"*"}))
KEY = Idempotency("owner", "k1")
NEW = PlaceOrder(store_id="1", currency="KRW", items=[NewItem("Tea", 1, 100)])


async def restored(pool: Pool) -> str:
    """The database is another one from now on; the name of its log."""
    await pool.execute("UPDATE epoch SET epoch = epoch || 'Z'")
    return str(await pool.fetchval("SELECT epoch FROM epoch"))


@pytest.fixture
def commands(pool: Pool) -> OrderService:
    return OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)


async def test_a_new_order_and_a_step_are_of_the_log_that_they_were_written_to(
    pool: Pool, commands: OrderService
) -> None:
    before = await commands.place(OWNER, NEW)
    log = await restored(pool)
    placed = await commands.place(OWNER, NEW)
    stepped = await commands.transition(OWNER, before.order_id, Transition(to="accepted"))
    assert before.epoch != log
    assert (placed.epoch, stepped.epoch) == (log, log)


async def test_an_answer_that_is_given_again_is_of_the_log_that_it_is_found_in(
    pool: Pool, commands: OrderService
) -> None:
    placed = await commands.place(OWNER, NEW, KEY)
    log = await restored(pool)
    again = await commands.place(OWNER, NEW, KEY)
    assert (again.order_id, again.replayed, again.epoch) == (placed.order_id, True, log)


async def test_the_order_in_a_refusal_is_of_the_log_that_it_was_read_from(
    pool: Pool, commands: OrderService
) -> None:
    order_id = (await commands.place(OWNER, NEW)).order_id
    log = await restored(pool)
    with pytest.raises(ImpossibleTransitionError) as impossible:
        await commands.transition(OWNER, order_id, Transition(to="served"))
    with pytest.raises(StaleVersionError) as stale:
        await commands.transition(OWNER, order_id, Transition(to="accepted"), Seen(version=7))
    assert (impossible.value.epoch, stale.value.epoch) == (log, log)


async def test_each_answer_with_an_order_has_the_header(core: CoreService) -> None:
    store = new_store()
    owner = token("owner", store)
    synced = await core.client.get(f"/v1/sync?channel=store:{store}", headers=bearer(owner))
    placed = await core.client.post("/v1/orders", json=an_order(store), headers=bearer(owner))
    path = f"/v1/orders/{placed.json()['id']}"
    steps = f"{path}/transitions"
    stale = bearer(owner, if_match='"9"')
    answers = [
        placed,
        await core.client.post(steps, json={"to": "accepted"}, headers=bearer(owner)),
        await core.client.patch(path, json={"note": "hot"}, headers=bearer(owner)),
        await core.client.post(f"{path}/recalls", json={"to": "placed"}, headers=bearer(owner)),
        await core.client.get(path, headers=bearer(owner)),
        await core.client.post(steps, json={"to": "served"}, headers=bearer(owner)),
        await core.client.post(steps, json={"to": "accepted"}, headers=stale),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 409, 412]
    assert {answer.headers[EPOCH_HEADER] for answer in answers} == {synced.json()["epoch"]}


async def test_a_page_of_another_origin_may_read_the_header(core: CoreService) -> None:
    store = new_store()
    headers = bearer(token("owner", store), origin="https://till.example")
    answer = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
    assert EPOCH_HEADER in answer.headers["access-control-expose-headers"]
