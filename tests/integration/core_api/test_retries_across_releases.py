"""A retry may meet another release of Core than the first try did, with other limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core_api.access.callers import Caller
from core_api.errors import BadRequestError
from core_api.orders import admission
from core_api.orders.idempotency import Idempotency
from core_api.orders.lifecycle import NewItem, PlaceOrder
from core_api.orders.service import OrderService
from core_api.postgres.pool import Pool
from core_api.wiring import new_order_id, utc_now

OWNER = Caller("owner-1", "owner", frozenset({"1"}))
ORDER = PlaceOrder("1", "EUR", [NewItem("Tea", 1, 250)], table_id="5", note="x" * 400)
KEY = Idempotency("owner-1", "from-before-the-limit")


async def test_an_order_that_is_too_large_by_now_gets_its_first_answer_once_more(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = OrderService(pool, 4, utc_now, new_order_id, lambda _channels: None)
    first = await orders.place(OWNER, ORDER, KEY)
    monkeypatch.setattr(admission, "MAX_ORDER_BYTES", 300)
    assert await orders.place(OWNER, ORDER, KEY) == replace(first, replayed=True)
    for key in (None, Idempotency("owner-1", "another")):
        with pytest.raises(BadRequestError):
            await orders.place(OWNER, ORDER, key)
