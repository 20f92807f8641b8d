"""Many orders in one request: each is placed by itself, with a result of its own.

The orders are placed at once; the write path gathers them into few transactions by itself.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from client_sdk.contract.problem import Problem
from core_api.access.callers import Caller
from core_api.errors import CoreError
from core_api.orders.idempotency import Idempotency, parse_key
from core_api.orders.lifecycle import PlaceOrder
from core_api.orders.service import OrderService
from core_api.problems import of_core_error
from server_common.limits import BATCH_BODY_BYTES, BATCH_ORDERS

MAX_BATCH_BYTES: Final = BATCH_BODY_BYTES
MAX_BATCH_ORDERS: Final = BATCH_ORDERS


class BatchItem(Struct, frozen=True, forbid_unknown_fields=True):
    """One order to place, with its own idempotency key."""

    order: PlaceOrder
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/orders/batch`."""

    items: Annotated[list[BatchItem], Meta(min_length=1, max_length=MAX_BATCH_ORDERS)]


class BatchResult(Struct, frozen=True):
    """The result of one item: the order (status 201), or the problem."""

    status: int
    order: msgspec.Raw | None = None
    problem: Problem | None = None


class BatchResults(Struct, frozen=True):
    """One result per item, in the order of the items."""

    results: list[BatchResult]


async def place_all(commands: OrderService, caller: Caller, batch: Batch) -> BatchResults:
    """Place each order of the batch; a refused order does not affect the others.

    Args:
        commands: the write path.
        caller: who places them; idempotency keys count within its role and subject.
        batch: 1 to `MAX_BATCH_ORDERS` orders, each with an idempotency key or without.

    Returns:
        One result for each order, in the batch's order; a refusal is the problem in the order's
        place.
    """
    return BatchResults(
        list(await asyncio.gather(*(_place(commands, caller, item) for item in batch.items)))
    )


async def _place(commands: OrderService, caller: Caller, item: BatchItem) -> BatchResult:
    try:
        idempotency = None
        if item.idempotency_key is not None:
            idempotency = Idempotency(
                f"{caller.role}:{caller.subject}", parse_key(item.idempotency_key)
            )
        written = await commands.place(caller, item.order, idempotency)
    except CoreError as error:
        problem = of_core_error(error)
        return BatchResult(problem.status, problem=problem)
    return BatchResult(written.status, order=msgspec.Raw(written.body))
